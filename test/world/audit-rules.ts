/** The rules of the kernel's audit, and whether it is on, asked by another program than the one under test. Needs root and python3. */
import { execFileSync } from "node:child_process";

export interface AuditState {
  readonly enabled: number;
  readonly backlog: number;
  /** Of every rule, in order; empty where it has none. */
  readonly keys: readonly string[];
}

const PROGRAM = `
import json, socket, struct, sys
RULE, BACK = 1040, 16
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)
s.bind((0, 0)); s.settimeout(5)

def ask(kind, payload=b"", reply=None, many=False):
    s.send(struct.pack("IHHII", BACK + len(payload), kind, 5, 7, 0) + payload)
    found, agreed = [], False
    while True:
        message = s.recv(65536)
        length, type, flags, serial, _ = struct.unpack("IHHII", message[:BACK])
        if type == 2:
            error = struct.unpack("i", message[BACK:BACK + 4])[0]
            # Somebody else was faster.
            if error and not (kind == 1012 and error == -2): sys.exit(f"audit: errno {-error}")
            agreed = True
        elif type == 3: many = False
        elif type == reply: found.append(message[BACK:length])
        if agreed and not many and (reply is None or found or reply == 1013): return found

def key(rule):
    count = struct.unpack("I", rule[8:12])[0]
    fields, values, at = struct.unpack("64I", rule[268:524]), struct.unpack("64I", rule[524:780]), RULE
    for i in range(count):
        if fields[i] == 210: return rule[at:at + values[i]].decode()
        # A file's path stands before.
        if fields[i] == 105: at += values[i]
    return ""

verb, text = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
rules = ask(1013, reply=1013, many=True)
if verb == "state":
    status = struct.unpack("7I", ask(1000, reply=1000)[0][:28])
    print(json.dumps({"enabled": status[1], "backlog": status[5], "keys": [key(rule) for rule in rules]}))
elif verb == "remove":
    for rule in rules:
        if key(rule).startswith(text): ask(1012, rule)
elif verb == "add":
    # A call that nobody makes, with somebody's key.
    numbers = [0] * 64
    numbers[246 // 32] = 1 << (246 % 32)
    pad = lambda list: list + [0] * (64 - len(list))
    rule = struct.pack("3I64I64I64I64II", 4, 2, 1, *numbers, *pad([210]), *pad([len(text)]), *pad([0x40000000]), len(text)) + text.encode()
    ask(1011, rule)
`;

function run(...args: readonly string[]): string {
  return execFileSync("python3", ["-c", PROGRAM, ...args]).toString();
}

export function auditState(): AuditState {
  return JSON.parse(run("state"));
}

/** A rule of somebody else's. */
export function addAuditRule(key: string): void {
  run("add", key);
}

/** Every rule whose key begins so. */
export function removeAuditRules(key: string): void {
  run("remove", key);
}
