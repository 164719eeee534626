// Three ways to watch one job. Each is given what it got, and how it ended, to show.

/** Over the channel: WebSocket, or what the client falls back to. A stream of the generated client. */
async function overChannel(id, show, { channel, signal }) {
  for await (const job of channel.watch({ id }, { signal })) show(job);
}

/** Over server-sent events: what any browser has. */
function overEvents(id, show, { signal }) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`/jobs/${id}/events`);
    const end = (settle, value) => {
      events.close(); // it would connect again, and the function start again
      settle(value);
    };
    signal.addEventListener("abort", () => end(resolve));
    events.onmessage = ({ data }) => show(JSON.parse(data));
    events.addEventListener("end", () => end(resolve));
    events.addEventListener("error", ({ data }) => {
      if (data) end(reject, JSON.parse(data).error);
      else if (events.readyState === EventSource.CLOSED) end(reject, { message: "the server does not tell" });
    });
  });
}

/** Over HTTP, by asking each second. */
async function overAsking(id, show, { signal }) {
  for (;;) {
    const response = await fetch(`/jobs/${id}`, { signal });
    const body = await response.json();
    if (!response.ok) throw body.error;
    show(body);
    if (body.state !== "running") return;
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000);
      signal.addEventListener("abort", () => resolve(clearTimeout(timer)));
    });
    if (signal.aborted) return;
  }
}

export const wires = [
  { name: "Channel", how: "for await (const job of jobs.watch({ id }))", watch: overChannel },
  { name: "Server-sent events", how: "new EventSource(`/jobs/${id}/events`)", watch: overEvents },
  { name: "HTTP", how: "fetch(`/jobs/${id}`), once a second", watch: overAsking },
];
