/**
 * Who decides: ours, through the store and as the product does it, and the peers, each the way its own documentation has it. Each
 * is loaded by whoever runs it alone, so that memory can be compared.
 */
import { join } from "node:path";
import type { MongoAbility } from "@casl/ability";
import type { RBACSystem } from "../dist/rbac/index.js";
import { closure, type Question, userId, VERBS, type World } from "./rbac-world.ts";

export interface Contender {
  decide(question: Question): boolean | Promise<boolean>;
  /** Ms from a change of the policy to the first decision that knows of it. */
  change?(): Promise<number>;
}

/** Makes the world anew: whoever wants its memory to count does not keep it. */
type Made = () => World;

export const CONTENDERS: Readonly<Record<string, (made: Made, folder: string) => Promise<Contender>>> = {
  ours,
  "ours-async": oursAsync,
  casl,
  accesscontrol,
  cedar,
  casbin,
};

async function open(folder: string): Promise<RBACSystem> {
  const [{ RBACSystem: System }, { SqliteStore }] = await Promise.all([import("../dist/rbac/index.js"), import("../dist/store/index.js")]);
  const store = new SqliteStore({ path: join(folder, "cofferdam.db") });
  const silent = { log: async () => undefined, denied: async () => undefined };
  const rbac = new System(silent, { store, storage: { directory: folder }, allowsPerEvent: 1_000_000 });
  await rbac.initialize();
  return rbac;
}

/** As the desks write them; a hundred thousand changes one by one would take minutes. */
export async function fill({ roles, users }: World, folder: string): Promise<void> {
  await (await open(folder)).close();
  const { SqliteStore } = await import("../dist/store/index.js");
  await using store = new SqliteStore({ path: join(folder, "cofferdam.db") });
  const createdAt = new Date(0).toISOString();
  await store.write(async (tx) => {
    for (const { id, inherits, rules } of roles) {
      const permissions = rules.map(({ resource, verb }) => `${resource}:${verb}`);
      const body = { id, name: id, inherits, permissions, deny: [], builtIn: false, version: 1 };
      await tx.run("INSERT INTO rbac_roles (id, name_key, body) VALUES (?, ?, ?)", [id, id, JSON.stringify(body)]);
    }
    for (const [at, numbers] of users.entries()) {
      const id = userId(at);
      const body = { id, username: id, kind: "person", disabled: false, createdAt };
      await tx.run("INSERT INTO rbac_users (id, name_key, disabled, body) VALUES (?, ?, 0, ?)", [id, id, JSON.stringify(body)]);
      for (const roleId of new Set(numbers.map((number) => roles[number]?.id ?? ""))) {
        const assignment = { id: `${id}-${roleId}`, userId: id, roleId, grantedBy: "bench", createdAt };
        await tx.run("INSERT INTO rbac_assignments (id, user_id, role_id, scope, expires_at, body) VALUES (?, ?, ?, '', NULL, ?)", [
          ...[assignment.id, id, roleId, JSON.stringify(assignment)],
        ]);
      }
    }
    await tx.run("UPDATE rbac_epoch SET epoch = 1, mark = 'bench'");
    await tx.run("INSERT INTO rbac_changes (epoch, mark, kind, subject) VALUES (1, 'bench', 'all', '')");
  });
}

const CONTEXT = { repository: "acme/web" };

async function ours(_made: Made, folder: string): Promise<Contender> {
  const rbac = await open(folder);
  const checker = await rbac.checker();
  const known = { now: Date.now() };
  let turn = 0;
  return {
    decide: ({ userId: user, permission }) => checker.check(user, permission, CONTEXT, known),
    async change() {
      const started = performance.now();
      // Each other time a role, so that all of them are compiled again; none that is asked about.
      if (turn++ === 0) await rbac.createRole({ name: "extra" });
      else if (turn % 2 === 0) await rbac.updateRole("extra", { permissions: [`jobs:v${turn}`] });
      else await rbac.assignRole(userId(0), "viewer", { expiresAt: new Date(Date.now() + turn * 60_000) });
      await rbac.checkPermission(userId(0), "jobs:read");
      return performance.now() - started;
    },
  };
}

async function oursAsync(_made: Made, folder: string): Promise<Contender> {
  const rbac = await open(folder);
  return { decide: ({ userId: user, permission }) => rbac.checkPermission(user, permission, CONTEXT) };
}

/** One ability a user, kept for as many as fit. */
async function casl(made: Made): Promise<Contender> {
  const world = made();
  const { createMongoAbility } = await import("@casl/ability");
  const kept = new Map<number, MongoAbility>();
  const ability = (user: number): MongoAbility => {
    const known = kept.get(user);
    if (known !== undefined) return known;
    const rules = closure(world, world.users[user] ?? []).flatMap((role) => role.rules);
    const made = createMongoAbility(rules.map(({ resource, verb }) => ({ action: verb === "*" ? [...VERBS] : verb, subject: resource })));
    if (kept.size >= 10_000) kept.clear();
    kept.set(user, made);
    return made;
  };
  return { decide: ({ user, resource, verb }) => ability(user).can(verb, resource) };
}

async function accesscontrol(made: Made): Promise<Contender> {
  const { roles, users } = made();
  const { AccessControl } = await import("accesscontrol");
  const grants = roles.flatMap(({ id, rules }) =>
    rules.flatMap(({ resource, verb }) =>
      (verb === "*" ? VERBS : [verb]).map((action) => ({ role: id, resource, action: `${action}:any`, attributes: ["*"] })),
    ),
  );
  const control = new AccessControl(grants);
  for (const { id, inherits } of roles) for (const parent of inherits) control.extendRole(id, parent);
  const names = users.map((numbers) => numbers.map((number) => `role${number}`));
  return {
    decide: ({ user, resource, verb }) => {
      const query = control.can(names[user] ?? []);
      switch (verb) {
        case "create":
          return query.createAny(resource).granted;
        case "update":
          return query.updateAny(resource).granted;
        case "delete":
          return query.deleteAny(resource).granted;
        default:
          return query.readAny(resource).granted;
      }
    },
  };
}

/** One policy a role, and for each user the set of theirs, parsed when they come for the first time. */
async function cedar(made: Made): Promise<Contender> {
  const world = made();
  const { preparsePolicySet, statefulIsAuthorized } = await import("@cedar-policy/cedar-wasm/nodejs");
  const policies = world.roles.map(({ id, rules }) => {
    const allowed = rules.map(({ resource, verb }) => `(resource == Thing::"${resource}"${verb === "*" ? "" : ` && action == Action::"${verb}"`})`);
    return `permit (principal in Role::"${id}", action, resource) when { ${allowed.join(" || ")} };`;
  });
  const parsed = new Map<number, readonly { readonly type: string; readonly id: string }[]>();
  return {
    decide: ({ user, resource, verb }) => {
      let parents = parsed.get(user);
      if (parents === undefined) {
        const theirs = closure(world, world.users[user] ?? []);
        const answer = preparsePolicySet(userId(user), { staticPolicies: theirs.map(({ id }) => policies[Number(id.slice(4))] ?? "").join("\n") });
        if (answer.type !== "success") throw new Error(JSON.stringify(answer));
        parents = theirs.map(({ id }) => ({ type: "Role", id }));
        parsed.set(user, parents);
      }
      const principal = { type: "User", id: userId(user) };
      const answer = statefulIsAuthorized({
        ...{ principal, action: { type: "Action", id: verb }, resource: { type: "Thing", id: resource }, context: {} },
        preparsedPolicySetId: userId(user),
        entities: [{ uid: principal, attrs: {}, parents: [...parents] }],
      });
      if (answer.type !== "success") throw new Error(JSON.stringify(answer));
      return answer.response.decision === "allow";
    },
  };
}

async function casbin(made: Made): Promise<Contender> {
  const { roles, users } = made();
  const { newEnforcer, newModelFromString, StringAdapter } = await import("casbin");
  const model = newModelFromString(`
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.obj == p.obj && (p.act == '*' || r.act == p.act) && g(r.sub, p.sub)`);
  const lines = [
    ...roles.flatMap(({ id, rules }) => rules.map(({ resource, verb }) => `p, ${id}, ${resource}, ${verb}`)),
    ...roles.flatMap(({ id, inherits }) => inherits.map((parent) => `g, ${id}, ${parent}`)),
    ...users.flatMap((numbers, at) => numbers.map((number) => `g, ${userId(at)}, role${number}`)),
  ];
  const enforcer = await newEnforcer(model, new StringAdapter([...new Set(lines)].join("\n")));
  return { decide: ({ user, resource, verb }) => enforcer.enforceSync(userId(user), resource, verb) };
}
