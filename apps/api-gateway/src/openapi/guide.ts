/** The text in front of the reference: what a developer has to know before the first request. */
export const guide = `
Read the data of your Space, and be told the moment something in it changes.

## First request

Make an API key in the settings of your Space (only its owner can; the key is shown once), then:

\`\`\`bash
curl -H "X-API-Key: tc_live_your_api_key_here" https://your-space.example/api/v1/files
\`\`\`

A key belongs to one Space and sees nothing of any other. It reads everything and writes nothing but webhooks. Keep it on your
server: never in a web page, a repository or a URL.

## Answers

Every answer but that of the health check is JSON in one envelope:

\`\`\`json
{ "success": true, "data": [], "pagination": { "page": 1, "pageSize": 25, "total": 142, "totalPages": 6 } }
{ "success": false, "error": { "code": "UNAUTHORIZED", "message": "Invalid or expired API key" } }
\`\`\`

Every column is always there, null where it is unset. Moments are ISO 8601 in UTC with milliseconds, days are \`YYYY-MM-DD\`, money is a
number of dollars. New columns may appear at any time: ignore those you do not know.

| status | code | what to do |
|---|---|---|
| 400 | \`VALIDATION_ERROR\` | correct the request; the message names the parameter |
| 401 | \`UNAUTHORIZED\` | check the key |
| 403 | \`FORBIDDEN\` | API keys read only; webhooks are the exception |
| 404 | \`NOT_FOUND\` | there is no such record in your Space |
| 429 | \`RATE_LIMIT_EXCEEDED\` | wait for \`Retry-After\` seconds |
| 500, 503 | \`INTERNAL_ERROR\` | try again later; at 503 after \`Retry-After\` seconds |

## Lists

\`page\` and \`pageSize\` (25, at most 100) number the pages; \`sort\` and \`order\` sort; \`search\` finds words; any column filters:

\`\`\`
/api/v1/files?status=active&closingDate[gte]=2026-03-01&closingDate[lt]=2026-04-01&sort=closingDate
\`\`\`

Several columns must all fit; one column given twice may be either. \`column[operator]\` takes the operators \`ne\`, \`gt\`, \`gte\`, \`lt\`,
\`lte\`, \`in\`, \`contains\` and \`null\`. An unknown parameter is refused, so a typo never returns everything. \`fields=id,propertyAddress\` makes
rows small. To copy a whole collection, walk it with \`cursor=\` instead of numbering pages: nothing is skipped or repeated while
rows come and go.

## Limits

60 requests in any 60 seconds for each key, unless yours was made with more. \`X-RateLimit-Limit\` and \`X-RateLimit-Remaining\` say where you
stand. To stay far below it, use webhooks instead of asking again and again, and \`If-None-Match\` to save bytes.

## Webhooks

Subscribe a URL to events, and we POST each one to you, usually within a second. Answer with any 2xx within 5 seconds and do
the work afterwards. What fails is tried again after 30 s, 1 m, 15 m, 30 m, 1 h, 2 h, 4 h and 8 h. An event may arrive twice, and
events of different records in any order: handle each \`X-Webhook-Id\` once.

Check that a delivery comes from us before you believe it:

\`\`\`javascript
const crypto = require('node:crypto');

function isFromKeyturn(rawBody, signature, secret) {
  const expected = crypto.createHmac('sha256', secret).update(rawBody).digest('hex');
  return signature.length === expected.length && crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(expected));
}
\`\`\`

\`rawBody\` is the body as it came, \`signature\` the header \`X-Webhook-Signature\`, \`secret\` the whole string beginning with \`whsec_\`. Deliveries
also carry the headers of [Standard Webhooks](https://www.standardwebhooks.com), so its libraries verify them with the same secret.

To verify without holding a secret, make the webhook with \`"signatureScheme": "v1a"\`: then \`webhook-signature\` is an Ed25519 signature, and
the public keys are at its \`publicKeysPath\` on this server, for everybody who knows the path:

\`\`\`javascript
const crypto = require('node:crypto');

// keys: the array \`keys\` of the document at publicKeysPath, fetched beforehand
function isSignedByKeyturn(rawBody, headers, keys) {
  const seconds = Number(headers['webhook-timestamp']);
  if (!(Math.abs(Date.now() / 1000 - seconds) < 300)) return false;
  const signed = Buffer.concat([Buffer.from(headers['webhook-id'] + '.' + headers['webhook-timestamp'] + '.'), rawBody]);
  const signatures = headers['webhook-signature'].split(' ').filter((item) => item.startsWith('v1a,'));
  return keys.some((jwk) => {
    const key = crypto.createPublicKey({ key: jwk, format: 'jwk' });
    return signatures.some((item) => crypto.verify(null, signed, key, Buffer.from(item.slice(4), 'base64')));
  });
}
\`\`\`

\`rawBody\` is a Buffer of the body as it came. Keep the document as long as its \`Cache-Control\` says; when a signature fits none of the keys,
fetch it once more before you refuse.
`.trim();
