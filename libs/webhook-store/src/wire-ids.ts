/** Ids as paths and replies spell them, and the numbers behind them; undefined for any other spelling (T-083). */
const numberBehind =
  (prefix: string) =>
  (id: string): string | undefined =>
    new RegExp(`^${prefix}([1-9]\\d{0,17})$`).exec(id)?.[1];

/** `wh_42` → `42` */
export const webhookNumber = numberBehind('wh_');
/** `dlv_7` → `7` */
export const deliveryNumber = numberBehind('dlv_');
/** `rpl_3` → `3` */
export const replayNumber = numberBehind('rpl_');
