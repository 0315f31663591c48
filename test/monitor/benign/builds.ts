/** What builds do all day, offline: none of it is a threat. Each is a script for bash in a container of this machine's own Debian. */

export interface Build {
  readonly name: string;
  readonly script: string;
  /** What its output ends with when it worked. */
  readonly shows: RegExp;
}

const ADDON = `#include <node_api.h>
static napi_value answer(napi_env e, napi_callback_info i) { napi_value v; napi_create_int32(e, 42, &v); return v; }
NAPI_MODULE_INIT() { napi_value f; napi_create_function(env, "answer", NAPI_AUTO_LENGTH, answer, 0, &f); return f; }`;

export const BUILDS: readonly Build[] = [
  {
    name: "npm install with a native addon, and npm test",
    script: `mkdir -p dep app && cd dep
      cat > addon.c <<'C'\n${ADDON}\nC
      echo '{"name":"dep","version":"1.0.0","main":"addon.node","scripts":{"install":"gcc -shared -fPIC -I/opt/node/include/node -o addon.node addon.c"}}' > package.json
      npm pack --silent && cd ../app
      echo '{"name":"app","version":"1.0.0","scripts":{"pretest":"node -e 0","test":"node --test"},"dependencies":{"dep":"file:../dep/dep-1.0.0.tgz"}}' > package.json
      echo 'require("node:test")("answers", () => require("node:assert").equal(require("dep")(), 42))' > a.test.js
      npm install --offline --no-audit --no-fund --foreground-scripts && npm test && echo built`,
    shows: /built\s*$/,
  },
  {
    name: "apt-get install of a package with a user, a cron job and a set-group-id program",
    script: `mkdir -p p/DEBIAN p/usr/bin p/etc/cron.d p/usr/lib/hello
      printf '#!/bin/sh\\necho hello\\n' > p/usr/bin/hello; cp /bin/true p/usr/lib/hello/helper; chmod 755 p/usr/bin/hello; chmod 2755 p/usr/lib/hello/helper
      echo '0 0 * * * root /usr/bin/hello' > p/etc/cron.d/hello
      printf 'Package: hello-x\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: x <x@example.org>\\nDescription: x\\n' > p/DEBIAN/control
      printf '#!/bin/sh\\nset -e\\nuseradd --system hello-x || true\\necho set > /etc/hello.conf\\nldconfig\\n' > p/DEBIAN/postinst; chmod 755 p/DEBIAN/postinst
      dpkg-deb --build p hello.deb >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ./hello.deb >&2 && hello && rm -rf /var/lib/apt/lists/*; echo built`,
    shows: /hello\s+built\s*$/,
  },
  {
    name: "gcc and make, with a library and tests",
    script: `for i in 1 2 3 4 5 6 7 8; do echo "int f$i(void) { return $i; }" > f$i.c; done
      echo 'int f8(void); int main(void) { return f8() == 8 ? 0 : 1; }' > test.c
      printf 'OBJS = f1.o f2.o f3.o f4.o f5.o f6.o f7.o f8.o\\nall: libf.a t\\nlibf.a: $(OBJS)\\n\\tar rcs $@ $^\\nt: test.o libf.a\\n\\t$(CC) -o $@ $^\\ncheck: t\\n\\t./t\\ninstall: all\\n\\tinstall -D t $(DESTDIR)/usr/bin/t\\n\\tstrip $(DESTDIR)/usr/bin/t\\nclean:\\n\\trm -f *.o *.a t\\n' > Makefile
      make -j2 && make check && make install DESTDIR=out && out/usr/bin/t && make clean && echo built`,
    shows: /built\s*$/,
  },
  {
    name: "a local wheel in python, and unittest with processes and files",
    script: `mkdir -p w/mod w/mod-1.0.dist-info && echo 'def f(): return 1' > w/mod/__init__.py
      printf 'Metadata-Version: 2.1\\nName: mod\\nVersion: 1.0\\n' > w/mod-1.0.dist-info/METADATA
      printf 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n' > w/mod-1.0.dist-info/WHEEL
      printf 'mod/__init__.py,,\\nmod-1.0.dist-info/METADATA,,\\nmod-1.0.dist-info/WHEEL,,\\nmod-1.0.dist-info/RECORD,,\\n' > w/mod-1.0.dist-info/RECORD
      (cd w && python3 -m zipfile -c ../mod-1.0-py3-none-any.whl mod mod-1.0.dist-info)
      python3 -m pip install --no-index --target site mod-1.0-py3-none-any.whl 2>/dev/null || python3 -m zipfile -e mod-1.0-py3-none-any.whl site
      python3 -m compileall -q site
      cat > test_x.py <<'P'
import os, subprocess, sys, tempfile, unittest, multiprocessing
sys.path.insert(0, "site")
class T(unittest.TestCase):
  def test_f(self):
    import mod; self.assertEqual(mod.f(), 1)
  def test_processes(self):
    with tempfile.TemporaryDirectory() as d:
      for i in range(20): open(os.path.join(d, str(i)), "w").write("x")
      self.assertEqual(len(subprocess.check_output(["ls", d]).split()), 20)
    with multiprocessing.Pool(2) as p: self.assertEqual(p.map(abs, [-1, -2]), [1, 2])
unittest.main()
P
      python3 test_x.py && echo built`,
    shows: /built\s*$/,
  },
  {
    name: "git: commit, clone of a local repository, worktree, gc",
    script: `git config --global user.email x@example.org; git config --global user.name x; git init -q -b main repo && cd repo
      for i in 1 2 3 4 5; do echo $i > f$i; git add . && git commit -qm $i; done; git tag v1; cd .. && git clone -q repo copy && cd copy
      git worktree add -q ../tree HEAD && git gc -q && git log --oneline | wc -l && git describe --tags && echo built`,
    shows: /v1\s+built\s*$/,
  },
  {
    name: "tar, checksums, and a configure script that tries the compiler",
    script: `mkdir -p pkg-1.0 && cat > pkg-1.0/configure <<'S'
#!/bin/sh
echo 'int main(void){return 0;}' > conftest.c && gcc -o conftest conftest.c && ./conftest && echo "checking whether the compiler works... yes"
rm -f conftest conftest.c; cat > config.status <<E
#!/bin/sh
echo creating config.h; echo '#define X 1' > config.h
E
chmod +x config.status; ./config.status
S
      chmod 755 pkg-1.0/configure; tar czf pkg.tgz pkg-1.0 && sha256sum pkg.tgz > SUMS && sha256sum -c SUMS && rm -rf pkg-1.0 && tar xzf pkg.tgz && cd pkg-1.0 && ./configure && cat config.h && echo built`,
    shows: /define X 1\s+built\s*$/,
  },
  {
    name: "a container engine that a job may not reach",
    script: `node -e 'const s = require("net").connect("/var/run/docker.sock"); s.on("error", (e) => console.log("no engine:", e.code))'; echo built`,
    shows: /no engine: ENOENT\s+built\s*$/,
  },
  {
    name: "a test suite that forks a lot",
    script:
      "for i in $(seq 1 300); do (true) & done; wait; for i in $(seq 1 100); do sh -c 'echo $0 | tr 0-9 a-j | sort -u > /dev/null' $i; done; seq 1 200 | xargs -P 4 -n 1 echo > /dev/null; echo built",
    shows: /built\s*$/,
  },
  {
    name: "a web server and its tests",
    script: `cat > server.test.js <<'J'
const { test } = require("node:test"), http = require("node:http"), { execFileSync, execFile } = require("node:child_process"), assert = require("node:assert");
test("serves", async () => {
  const server = http.createServer((q, a) => a.end("hello " + q.url)).listen(0, "127.0.0.1");
  await new Promise((r) => server.once("listening", r));
  const at = "http://127.0.0.1:" + server.address().port;
  for (let i = 0; i < 50; i++) assert.equal(await (await fetch(at + "/" + i)).text(), "hello /" + i);
  assert.equal(await new Promise((r, j) => execFile("curl", ["-s", at + "/c"], (e, out) => (e ? j(e) : r(out)))), "hello /c");
  server.close(); server.closeAllConnections();
});
J
      node --test server.test.js && echo built`,
    shows: /built\s*$/,
  },
  {
    name: "files by the thousand: made, moved, packed and cleaned up",
    script: `mkdir -p src dist && for d in a b c d e; do mkdir -p src/$d; for i in $(seq 1 300); do echo $i > src/$d/$i.js; done; done
      find src -name '*.js' | wc -l; cp -r src/. dist/; find dist -name '1*.js' -delete; (cd dist && tar cf ../dist.tar .); rm -rf src dist node_modules; mkdir -p ~/.cache/tool && echo x > ~/.cache/tool/.state; mktemp -d; echo built`,
    shows: /1500[\s\S]*built\s*$/,
  },
];
