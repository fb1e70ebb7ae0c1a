import type { Stack, StackDeps, StackOptions } from './dialog/user-agent.ts';

export declare function createStack(deps: StackDeps, options: StackOptions): Stack;
