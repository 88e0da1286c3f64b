import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { notFound } from '@keyturn/contracts';
import { type Asset, asset, respondWithAsset } from '../http/asset';
import { docsPage, docsSecurityPolicy, icon, pageScript, pageStyle } from './page';

const script = 'text/javascript; charset=utf-8';
const style = 'text/css; charset=utf-8';

/** Of the npm package, two files; the rest is ours. Nothing is fetched from elsewhere, so the page works offline. */
const fromPackage: Readonly<Record<string, string>> = { 'swagger-ui.css': style, 'swagger-ui-bundle.js': script };

const ours: Readonly<Record<string, readonly [content: string, type: string]>> = {
  'page.js': [pageScript, script],
  'page.css': [pageStyle, style],
  'icon.svg': [icon, 'image/svg+xml'],
};

/** The page names its assets by their content, so that a browser need never ask for one twice. */
const forEver = 'public, max-age=31536000, immutable';

/** The reference of the Space API for people, at `/docs`. */
@Controller('docs')
export class DocsController {
  private readonly assets = new Map<string, Asset>();
  private readonly page: Asset;

  constructor() {
    const folder = path.dirname(require.resolve('swagger-ui-dist/package.json'));
    const versions = new Map<string, string>();
    const add = (file: string, content: Buffer, type: string) => {
      this.assets.set(file, asset(content, type, forEver));
      versions.set(file, hash('sha1', content, 'hex').slice(0, 12));
    };
    for (const [file, type] of Object.entries(fromPackage)) add(file, readFileSync(path.join(folder, file)), type);
    for (const [file, [content, type]] of Object.entries(ours)) add(file, Buffer.from(content), type);
    const html = docsPage((file) => versions.get(file) ?? '');
    this.page = asset(Buffer.from(html), 'text/html; charset=utf-8', 'public, no-cache');
  }

  @Get()
  show(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    void reply.header('content-security-policy', docsSecurityPolicy);
    respondWithAsset(request, reply, this.page);
  }

  @Get('assets/:file')
  showAsset(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('file') file: string): void {
    const found = this.assets.get(file);
    if (!found) throw notFound('There is no such page');
    respondWithAsset(request, reply, found);
  }
}
