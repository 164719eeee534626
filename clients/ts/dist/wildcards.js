/** A route's pattern with its wildcards filled in. */
export function filled(pattern, opening) {
  return pattern.replace(/\{([^{}.]+)(\.\.\.)?\}/g, (_, name, rest) => {
    const text = encodeURIComponent(opening[name]);
    return rest ? text.replaceAll('%2F', '/') : text;
  });
}
