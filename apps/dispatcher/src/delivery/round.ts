import type { Lane } from './lane';

/** Turns in two circles: Spaces in the outer one, the endpoints of a Space in the inner one. */
export class Round {
  private readonly spaces = new Map<string, Set<Lane>>();

  add(lane: Lane): void {
    const lanes = this.spaces.get(lane.spaceId);
    if (lanes) lanes.add(lane);
    else this.spaces.set(lane.spaceId, new Set([lane]));
  }

  remove(lane: Lane): void {
    const lanes = this.spaces.get(lane.spaceId);
    if (lanes?.delete(lane) && lanes.size === 0) this.spaces.delete(lane.spaceId);
  }

  /** The lane whose turn it is; it and its Space go to the end of their circles. */
  next(): Lane | undefined {
    for (const [spaceId, lanes] of this.spaces) {
      this.spaces.delete(spaceId);
      this.spaces.set(spaceId, lanes);
      for (const lane of lanes) {
        lanes.delete(lane);
        lanes.add(lane);
        return lane;
      }
    }
    return undefined;
  }
}
