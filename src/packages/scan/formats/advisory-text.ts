/** Texts and addresses of advisories, made fit for other programs: whole characters, bounded, and no address but the web's. */

/** Well-formed Unicode of at most so many UTF-16 code units; a text that was cut ends with `...`. */
export function bounded(text: string, most: number): string {
  const whole = text.toWellFormed();
  return whole.length <= most ? whole : `${whole.slice(0, most - 3).replace(/[\ud800-\udbff]$/, "")}...`;
}

/** Where people read about an id, and who publishes it. */
export function advisoryPage(id: string): { readonly name: string; readonly url: string } {
  const word = encodeURIComponent(id.toWellFormed());
  if (/^GHSA-/.test(id)) return { name: "GitHub Advisory Database", url: `https://github.com/advisories/${word}` };
  if (/^CVE-/.test(id)) return { name: "NVD", url: `https://nvd.nist.gov/vuln/detail/${word}` };
  return { name: "OSV", url: `https://osv.dev/vulnerability/${word}` };
}

/** References that a browser opens, each once, in their normal form; the first so many. */
export function webAddresses(references: readonly string[], most: number): string[] {
  const addresses = references.flatMap((reference) => {
    const url = URL.parse(reference);
    return url !== null && /^https?:$/.test(url.protocol) && url.href.length <= 2048 ? [url.href] : [];
  });
  return [...new Set(addresses)].slice(0, most);
}
