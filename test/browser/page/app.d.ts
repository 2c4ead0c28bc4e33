/** An application of transformers.js, unchanged from platform to platform. */
export function answer(transformers: object, request: object): Promise<unknown>;
