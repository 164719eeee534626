package memory

// Kept returns how many things are kept.
func (b *Backend) Kept() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.topics) + len(b.reg.leases) + len(b.reg.values)
	for _, l := range b.topics {
		n += len(l.events) + len(l.newest) + len(l.ids)
	}
	for _, entries := range b.reg.groups {
		n += len(entries)
	}
	return n
}

// Sweeping tells whether the sweeper will come.
func (b *Backend) Sweeping() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sweeper != nil
}

// Kept returns how many things are kept.
func (s *Store) Kept() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.records) + len(s.groups)
	for _, members := range s.groups {
		n += len(members)
	}
	return n
}
