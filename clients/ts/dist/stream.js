import { fault } from './error.js';
/** A call that brings many values, as an iterator. begin makes the call, and returns what gives it up. */
export function stream(begin) {
  const items = [];
  let end;
  const waiters = [];
  const wake = () => waiters.splice(0).forEach((go) => go());
  const finish = (error) => {
    end ??= { error };
    wake();
  };
  const cancel = begin(() => finish(), finish, (value) => {
    items.push(value);
    if (items.length > 1000) {
      finish(fault('resource_exhausted', 'the stream is faster than its reader'));
      cancel();
    }
    wake();
  });
  return {
    async next() {
      while (!items.length && !end)
        await new Promise((resolve) => waiters.push(resolve));
      if (items.length)
        return { value: items.shift() };
      const { error } = end;
      end = {};
      if (error)
        throw error;
      return { done: true, value: undefined };
    },
    async return(value) {
      end = {};
      items.length = 0;
      cancel();
      wake();
      return { done: true, value };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
