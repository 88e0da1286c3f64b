export { RpcClient, type RpcOptions, type RpcResult } from './client';
export { Operation, reply, RpcServer, type RpcCall, type RpcReply } from './server';
