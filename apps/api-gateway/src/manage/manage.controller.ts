import { Body, Controller, Delete, Get, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { validationError } from '@keyturn/contracts';
import { Audit, type Actor } from '../audit/audit';
import { queryOf } from '../http/query';
import { respondUnstored } from '../http/respond';
import { Keys, type NewKey } from '../keys/keys';
import { page, success } from '../surfaces/v1/envelope';
import { pageOf } from './page-of';
import { sessionCookie } from './session-cookie';
import { Sessions, type Session } from './sessions';

/** The management plane: people sign in and look after the keys of their Spaces (DESIGN §5). */
@Controller('manage')
export class ManageController {
  constructor(
    private readonly sessions: Sessions,
    private readonly keys: Keys,
    private readonly audit: Audit,
  ) {}

  @Post('session')
  async signIn(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    const { token, session } = await this.sessions.signIn(objectOf(body), request.ip);
    const maxAgeSeconds = Math.floor((session.expiresAt.getTime() - Date.now()) / 1000);
    void reply.header('set-cookie', sessionCookie(token, { secure: request.protocol === 'https', maxAgeSeconds }));
    respondUnstored(reply, success(await this.shown(session)), 201);
  }

  @Get('session')
  async session(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    respondUnstored(reply, success(await this.shown(await this.sessions.of(request))));
  }

  @Delete('session')
  async signOut(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    await this.sessions.signOut(request);
    void reply.header('set-cookie', sessionCookie('', { secure: request.protocol === 'https', maxAgeSeconds: 0 }));
    respondUnstored(reply, success({ signedOut: true }));
  }

  @Get('spaces/:slug/keys')
  async listKeys(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('slug') slug: string,
  ): Promise<void> {
    const { space } = await this.sessions.ownedSpace(request, slug);
    const at = pageOf(queryOf(request));
    const { keys, total } = await this.keys.list(space.id, at);
    respondUnstored(reply, page(rowsOf(keys), { ...at, total }));
  }

  @Post('spaces/:slug/keys')
  async createKey(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('slug') slug: string,
    @Body() body: unknown,
  ): Promise<void> {
    const { session, space } = await this.sessions.ownedSpace(request, slug);
    const key = await this.keys.create(space.id, objectOf(body) as unknown as NewKey, doer(session, request));
    respondUnstored(reply, success(key), 201);
  }

  @Delete('spaces/:slug/keys/:id')
  async revokeKey(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('slug') slug: string,
    @Param('id') id: string,
  ): Promise<void> {
    const { session, space } = await this.sessions.ownedSpace(request, slug);
    respondUnstored(reply, success(await this.keys.revoke(space.id, id, doer(session, request))));
  }

  @Get('spaces/:slug/audit')
  async listAudit(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('slug') slug: string,
  ): Promise<void> {
    const { space } = await this.sessions.ownedSpace(request, slug);
    const at = pageOf(queryOf(request));
    const { entries, total } = await this.audit.list(space.id, at);
    respondUnstored(reply, page(rowsOf(entries), { ...at, total }));
  }

  private async shown(session: Session) {
    return {
      email: session.email,
      spaces: await this.sessions.memberships(session),
      csrfToken: session.csrfToken,
      expiresAt: session.expiresAt.toISOString(),
    };
  }
}

const doer = (session: Session, request: FastifyRequest) => ({
  actor: `account:${session.email}` satisfies Actor,
  address: request.ip,
});

const rowsOf = (rows: readonly unknown[]) => Buffer.from(rows.map((row) => JSON.stringify(row)).join(','));

function objectOf(body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw validationError('body', 'The body must be a JSON object');
  return body as Record<string, unknown>;
}
