/**
 * A process of the host, owned by the user under attack: a secret in its command line, environment, memory and in its open
 * file 9. It listens on a datagram socket and on FIFOs that lie in the project, keeps a System V segment, and notes what it
 * hears. It ends when its input does, so that nothing survives a test that was killed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** IPC_PRIVATE, IPC_CREAT and IPC_RMID by number: IPC::SysV is not part of perl-base. */
const CODE = `use Socket; use Fcntl; $| = 1;
my ($secret, $heard, $datagram, @fifos) = @ARGV;
my $memory = "in memory: $secret";
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
bind($s, pack_sockaddr_un($datagram)) or die "bind: $!";
my @open = map { sysopen(my $f, $_, O_RDWR | O_NONBLOCK) or die "$_: $!"; $f } @fifos;
my $id = shmget(0, 4096, 01600); defined $id or die "shmget: $!";
shmwrite($id, $secret, 0, length $secret) or die "shmwrite: $!";
sub note { open(my $f, '>', "$heard/$_[0]") or die; close $f }
print "$id\\n";
while (1) {
  my $in = ''; vec($in, fileno $_, 1) = 1 for \\*STDIN, $s, @open;
  select($in, undef, undef, undef) < 0 and next;
  if (vec($in, fileno STDIN, 1)) { sysread(STDIN, my $t, 1) or last }
  if (vec($in, fileno $s, 1)) { recv($s, my $t, 4096, 0); note 'datagram' }
  for my $f (@open) { if (vec($in, fileno $f, 1)) { sysread($f, my $t, 4096); note 'fifo' } }
}
shmctl($id, 0, 0);
`;

export interface HostProcess {
  readonly pid: number;
  /** Identifier of its System V shared memory segment. */
  readonly segment: number;
  readonly alive: () => boolean;
  end(): Promise<void>;
}

export interface HostProcessRequest {
  readonly secret: string;
  /** Folder for the notes `datagram` and `fifo`. */
  readonly heard: string;
  readonly datagram: string;
  readonly fifos: readonly string[];
  /** Becomes its open file 9. */
  readonly file: number;
  readonly ids: { readonly uid: number; readonly gid: number } | undefined;
}

export async function startHostProcess(request: HostProcessRequest): Promise<HostProcess> {
  const child: ChildProcess = spawn("perl", ["-e", CODE, "--", request.secret, request.heard, request.datagram, ...request.fifos], {
    cwd: request.heard,
    env: { PATH: "/usr/bin:/bin", HOST_TOKEN: request.secret },
    stdio: ["pipe", "pipe", "inherit", ...Array<"ignore">(6).fill("ignore"), request.file],
    ...request.ids,
  });
  let ended = false;
  const exit = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  void exit.then(() => {
    ended = true;
  });
  const { stdin, stdout, pid } = child;
  if (stdin === null || stdout === null || pid === undefined) throw new Error("the host process did not start");
  stdin.on("error", () => undefined);
  const ready = await Promise.race([once(stdout, "data"), exit.then(() => undefined)]);
  if (ready === undefined) throw new Error("the host process ended at once");
  return {
    pid,
    segment: Number(String(ready[0]).trim()),
    alive: () => !ended,
    end: async () => {
      stdin.end();
      // An attack may have stopped it, and a stopped process does not see that its input ended.
      const timer = setTimeout(() => child.kill("SIGKILL"), 1000);
      child.kill("SIGCONT");
      await exit;
      clearTimeout(timer);
    },
  };
}
