export function address(): Promise<string>;
