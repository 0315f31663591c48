/** A text as one word of a shell, since somebody may paste what a report says. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9@%_+=:,./^~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
