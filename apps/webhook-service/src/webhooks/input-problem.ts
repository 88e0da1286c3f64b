/** What is wrong with a value, in words that fit behind the name of its field. */
export class InputProblem extends Error {}
