const name = 'keyturn_session';

export function sessionTokenOf(cookies: string | undefined): string | undefined {
  for (const pair of cookies?.split(';') ?? []) {
    const [key, value] = pair.trim().split('=', 2);
    if (key === name && value && /^[A-Za-z0-9_-]{43}$/.test(value)) return value;
  }
  return undefined;
}

/** No script reads it, no other site sends it, and over https it never travels in the open. An empty token ends it. */
export function sessionCookie(token: string, options: { secure: boolean; maxAgeSeconds: number }): string {
  const attributes = [
    `${name}=${token}`,
    'Path=/manage',
    'HttpOnly',
    'SameSite=Strict',
    `Max-Age=${options.maxAgeSeconds}`,
  ];
  return [...attributes, ...(options.secure ? ['Secure'] : [])].join('; ');
}
