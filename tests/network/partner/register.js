// The school's student register: here a file that only its owner reads, written whole after each change.

import { readFile, rename, writeFile } from "node:fs/promises";

export class Register {
  static async load(file) {
    const empty = { seen: [], refused: [], referrals: {} };
    const kept = await readFile(file, "utf8").then(JSON.parse, () => empty);
    return new Register(file, kept);
  }

  constructor(file, kept) {
    this.file = file;
    this.seen = new Set(kept.seen);
    this.refused = kept.refused;
    this.referrals = kept.referrals;
  }

  /** Called before a message is acknowledged, so that what was taken is known when it comes again. */
  async save() {
    const kept = { seen: [...this.seen], refused: this.refused, referrals: this.referrals };
    await writeFile(`${this.file}.new`, JSON.stringify(kept, null, 1), { mode: 0o600 });
    await rename(`${this.file}.new`, this.file);
  }
}
