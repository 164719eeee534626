// Package dashboard tests that a live dashboard is easy to write: metrics of
// hosts, each to those who may see the host.
//
// To be added with the delivery classes: the topic is Latest, since only the
// newest value of a host matters. With ClientSubscribable, clients subscribe by
// themselves, and the action "watch" goes.
package dashboard
