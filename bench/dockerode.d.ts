/** The parts of dockerode that the benchmark uses. */
declare module "dockerode" {
  interface Container {
    start(): Promise<unknown>;
    wait(options: { condition: string }): Promise<{ StatusCode: number }>;
    inspect(): Promise<unknown>;
    attach(options: { stream: boolean; stdout: boolean; stderr: boolean }): Promise<{ resume(): unknown }>;
    remove(options?: { force: boolean; v: boolean }): Promise<unknown>;
  }
  export default class Docker {
    constructor(options: { socketPath: string });
    readonly modem: object;
    createContainer(options: object): Promise<Container>;
    getContainer(id: string): Container;
    ping(): Promise<unknown>;
  }
}
