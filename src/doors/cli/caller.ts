/** Who gives an order, for the record: the kernel's word for it. */
export function caller(): string {
  return `uid ${process.getuid?.() ?? -1}`;
}
