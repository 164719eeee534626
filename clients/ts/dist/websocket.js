export function webSocket({ options: { headers } }, url, hello, events, Socket) {
  const socket = new Socket(url, ['kanava.v1'], headers && { headers });
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => {
    socket.send(hello);
    events.opened();
  };
  socket.onmessage = ({ data }) => events.message(data);
  socket.onclose = ({ code, reason }) => events.ended(code, reason);
  socket.onerror = () => { };
  return {
    transport: 'websocket',
    send: (message) => socket.send(message),
    close(code) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(code);
    },
  };
}
