/** After trouble the page examines itself without a word, so that what it saw is known when somebody asks. */

const AFTER_MS = 1_000; // the person may try again at once

export function lookQuietly(): void {
  setTimeout(() => void look(), AFTER_MS);
}

async function look(): Promise<void> {
  try {
    await (await import("./selftest")).quietSelfTest();
  } catch {
    // this very part of the page may be what is missing
  }
}
