/** Where the page is, and what is below it. */
export const docsPath = '/docs';

/** Everything comes from this server, scripts and styles from files: nothing that is injected runs. */
export const docsSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The page around Swagger UI. `versionOf` names an asset's content, so that browsers may keep it for ever. */
export function docsPage(versionOf: (file: string) => string): string {
  const at = (file: string) => `${docsPath}/assets/${file}?v=${versionOf(file)}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="Reference of the Keyturn Space API: REST access and signed webhooks.">
<title>Keyturn API reference</title>
<link rel="icon" type="image/svg+xml" href="${at('icon.svg')}">
<link rel="stylesheet" href="${at('swagger-ui.css')}">
<link rel="stylesheet" href="${at('page.css')}">
</head>
<body>
<header class="bar">
<a class="bar-name" href="${docsPath}"><img src="${at('icon.svg')}" alt="" width="28" height="28">Keyturn</a>
<nav><a href="/api/v1/openapi.json">OpenAPI document</a><a href="/api/v1/health">Health</a></nav>
</header>
<main id="reference"><noscript><p class="plain">This page needs JavaScript. The same is in the
<a href="/api/v1/openapi.json">OpenAPI document</a>.</p></noscript></main>
<script src="${at('swagger-ui-bundle.js')}"></script>
<script src="${at('page.js')}"></script>
</body>
</html>
`;
}

/** Starts Swagger UI. Keys that are typed in stay in the page's memory: they are gone when it is closed. */
export const pageScript = `'use strict';
window.ui = SwaggerUIBundle({
  url: '/api/v1/openapi.json',
  dom_id: '#reference',
  presets: [SwaggerUIBundle.presets.apis],
  layout: 'BaseLayout',
  validatorUrl: null,
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: 'none',
  defaultModelsExpandDepth: 0,
  filter: true,
  persistAuthorization: false,
  showExtensions: false,
  syntaxHighlight: { activated: true, theme: 'idea' },
  requestSnippetsEnabled: false,
});
`;

export const pageStyle = `:root { color-scheme: light; }
html { box-sizing: border-box; }
*, *::before, *::after { box-sizing: inherit; }
body { margin: 0; background: #fff; font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.bar { display: flex; align-items: center; justify-content: space-between;
  padding: 10px 24px; background: #12343b; color: #fff; }
.bar a { color: #fff; text-decoration: none; }
.bar a:hover, .bar a:focus-visible { text-decoration: underline; }
.bar-name { display: flex; align-items: center; gap: 10px; font-weight: 650; font-size: 18px; }
.bar nav { display: flex; gap: 20px; font-size: 14px; }
.plain { padding: 24px; }
.swagger-ui .wrapper { max-width: 1180px; padding: 0 24px; }
.swagger-ui .info { margin: 32px 0 24px; }
.swagger-ui .info .title { font-family: inherit; }
.swagger-ui .info .markdown { max-width: 860px; line-height: 1.55; }
.swagger-ui .info .markdown code, .swagger-ui .markdown code, .swagger-ui .renderedMarkdown code { color: #12343b; background: #eef3f3; font-weight: 500; }
.swagger-ui .info .markdown pre { padding: 12px 16px; border-radius: 6px; background: #eef3f3; overflow-x: auto; }
.swagger-ui .info .markdown pre code { padding: 0; background: none; white-space: pre; }
.swagger-ui .info .markdown table { display: block; overflow-x: auto; }
.swagger-ui .info .markdown th, .swagger-ui .info .markdown td { padding: 6px 14px 6px 0; text-align: left; vertical-align: top; }
.swagger-ui .scheme-container { box-shadow: none; border-block: 1px solid #dde3e4; padding: 16px 0; }
.swagger-ui table.parameters .parameter__name { overflow-wrap: anywhere; }
`;

/** A key, drawn by us. */
export const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" role="img" aria-label="Keyturn">
<rect width="32" height="32" rx="7" fill="#e0a458"/>
<g fill="none" stroke="#12343b" stroke-width="3" stroke-linecap="round" stroke-linejoin="round">
<circle cx="11" cy="16" r="5"/><path d="M16 16h10M22 16v5M26 16v3"/>
</g>
</svg>
`;
