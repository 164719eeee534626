// Package tenant tests that an app for several tenants is easy to write: the
// tenant is the first label of the host, sessions of another tenant are not
// admitted, and an administrator can throw a user out.
//
// Nothing is left out: a later transport changes no function here.
package tenant
