package kanava

import "net/netip"

// This file counts connections by the network address of their clients, where
// Limits.AddressConns bounds them.

// address is what connections are counted by: where they come from, on one
// channel or, if that is nil, on the server.
type address struct {
	from netip.Addr
	on   *channelDef
}

// addresses is what one connection is counted by.
type addresses []address

// addressOf returns what one client has for itself: an IPv4 address, or the
// /64 network of an IPv6 address, in which it can choose one freely. All
// addresses that cannot be read are one, the zero Addr.
func addressOf(remote string) netip.Addr {
	at, err := netip.ParseAddrPort(remote)
	addr := at.Addr()
	if err != nil { // middleware may have put an address without a port there
		addr, _ = netip.ParseAddr(remote)
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		network, _ := addr.Prefix(64) // which fits
		addr = network.Addr()
	}
	return addr
}

// enterAddress counts a connection to a channel from remote, or refuses it;
// leaveAddress undoes that. A call over HTTP is one too, to no channel.
func (s *core) enterAddress(on *channelDef, remote string) (*addresses, *Error) {
	server, own := s.limits.AddressConns, 0
	if on != nil {
		own = on.own.AddressConns
	}
	if server == 0 && own == 0 {
		return nil, nil
	}
	from := addressOf(remote)
	all, here := address{from, nil}, address{from, on}
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := server
	if own > 0 && s.addresses[here] >= own {
		limit = own
	} else if server == 0 || s.addresses[all] < server {
		s.addresses[all]++
		if on == nil {
			return &addresses{all}, nil
		}
		s.addresses[here]++
		return &addresses{all, here}, nil
	}
	return nil, Errorf(CodeResourceExhausted, "too many connections from this address: the limit is %d", limit)
}

// leaveAddress takes out a connection, whether it is counted or not; s.mu is
// held.
func (s *core) leaveAddress(counted *addresses) {
	if counted == nil {
		return
	}
	for _, at := range *counted {
		if s.addresses[at]--; s.addresses[at] == 0 {
			delete(s.addresses, at)
		}
	}
}
