/** The package has types, but its `exports` do not lead to them. */
declare module '@serialport/binding-mock' {
  export interface MockPort {
    readonly isOpen: boolean;
    emitData(data: Buffer): void;
    write(bytes: Buffer): Promise<void>;
  }
  export const MockBinding: {
    createPort(path: string, options: { echo: boolean; record: boolean }): void;
    open(options: object): Promise<MockPort>;
    reset(): void;
  };
}
