/**
 * A state machine as its RFC draws it: for each state the inputs that have an arrow there, for each arrow where it
 * leads and what is done on the way. Tables are made once for a stack; a step through one allocates nothing.
 */
export type Figure<State extends string, Input extends string, Subject, Told> = Readonly<
  Record<State, Readonly<Partial<Record<Input, Arrow<State, Subject, Told>>>>>
>;

export interface Arrow<State extends string, Subject, Told> {
  readonly to: State;
  readonly actions: readonly Action<Subject, Told>[];
}

/** `told` is what came with the input: a response, an error, a reply. */
export type Action<Subject, Told> = (subject: Subject, told: Told) => void;

/** An arrow to that state; the actions run in their order, the state is entered before the first. */
export function to<State extends string, Subject, Told>(
  state: State,
  ...actions: readonly Action<Subject, Told>[]
): Arrow<State, Subject, Told> {
  return { to: state, actions };
}

/** One input. Without an arrow for it in the present state nothing happens. */
export function step<State extends string, Input extends string, Subject extends { state: State }, Told>(
  figure: Figure<State, Input, Subject, Told>,
  subject: Subject,
  input: Input,
  told: Told,
): void {
  const arrow = figure[subject.state][input];
  if (arrow === undefined) return;
  subject.state = arrow.to;
  const { actions } = arrow;
  for (let i = 0; i < actions.length; i += 1) (actions[i] as Action<Subject, Told>)(subject, told);
}
