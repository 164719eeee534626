// Programs of this folder are told what to do, one JSON value a line, and answer
// in the same way: {"re": <id>, ...}. What happens by itself is {"event": ...}.
import { createInterface } from "node:readline";

export const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");

// serve runs a command of the object for each line. A program ends with its input.
export async function serve(commands) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, do: name, ...args } = JSON.parse(line);
    try {
      say({ re: id, out: (await commands[name](args)) ?? null });
    } catch (err) {
      say({ re: id, status: err.statusCode ?? 0, error: String(err.message) });
    }
  }
  process.exit(0);
}

// payload turns what a command carries into what Microsoft's packages take.
export const payload = ({ as, data }) => (as === "binary" ? Uint8Array.from(Buffer.from(data, "base64")).buffer : data);
