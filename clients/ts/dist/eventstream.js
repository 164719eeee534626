/** More characters than this are no line, and no event, of a server that means well. */
const longestEvent = 2 ** 24;
/**
 * Reads server-sent events (section 9.2 of the HTML standard) from pieces that are cut anywhere.
 * Tells the data of each event without a name.
 */
export function eventStream(told) {
  let rest = ''; // of a line that has not ended
  let cut = false; // the last piece ended in CR, whose LF may come
  let data;
  let name = '';
  return (piece) => {
    if (!piece)
      return;
    const lines = piece.slice(+(cut && piece[0] === '\n')).split(/\r\n|\r|\n/);
    cut = piece.endsWith('\r');
    lines[0] = rest + lines[0];
    rest = lines.pop();
    for (const line of lines) {
      const [, field, value] = /^([^:]*):? ?(.*)/s.exec(line);
      if (field === 'data')
        data = data === undefined ? value : data + '\n' + value;
      if (field === 'event')
        name = value;
      if (line)
        continue;
      if (data && !name)
        told(data);
      data = undefined;
      name = '';
    }
    if (rest.length + (data?.length ?? 0) > longestEvent)
      throw new Error('the server sent an event that is too long');
  };
}
