import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'pg';

/**
 * The bare reference that `bench -- reads` compares with: one process, Node's `http` and `pg`, the same stored texts by one named
 * statement each, the total from the counter; no key, no limit, no second hop.
 */
export async function serveReference(databaseUrl: string, space: string): Promise<{ origin: string; close(): void }> {
  const pool = new Pool({ connectionString: databaseUrl, max: 10 });
  const list = {
    name: 'list',
    text: `select (select string_agg(page.json, ',') from (
             select json from data.file_state where space_id = $1 order by id limit 25) page) as rows,
           (select total from data.counter where space_id = $1 and collection = 'files') as total`,
  };
  const detail = { name: 'detail', text: 'select json from data.file_state where space_id = $1 and id = $2' };
  const lookup = {
    name: 'lookup',
    text: `select json from data.contact_state where space_id = $1 and id = (
             select id from data.contact where phone_keys @> array[$1::bigint || ':' || $2]
             order by updated_at desc, id desc limit 1)`,
  };

  const answer = async (url: string): Promise<string> => {
    if (url === '/files') {
      const { rows } = await pool.query<{ rows: string; total: string }>({ ...list, values: [space] });
      const total = Number(rows[0]?.total);
      const pages = `{"page":1,"pageSize":25,"total":${total},"totalPages":${Math.ceil(total / 25)}}`;
      return `{"success":true,"data":[${rows[0]?.rows ?? ''}],"pagination":${pages}}`;
    }
    const [statement, value] = url.startsWith('/files/')
      ? [detail, url.slice('/files/'.length)]
      : [lookup, url.slice('/contacts/lookup?phone='.length)];
    const { rows } = await pool.query<{ json: string }>({ ...statement, values: [space, value] });
    return `{"success":true,"data":${rows[0]?.json}}`;
  };

  const server = createServer((request, response) => {
    answer(request.url ?? '').then(
      (body) => {
        response.writeHead(200, {
          'content-type': 'application/json; charset=utf-8',
          'content-length': Buffer.byteLength(body),
        });
        response.end(body);
      },
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, close: () => server.close() };
}
