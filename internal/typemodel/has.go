package typemodel

// Has reports whether the JSON of the type may have a member at path: the
// names of members, each inside the one before.
func (m *Model) Has(path ...string) bool { return m.root.has(path) }

func (n *node) has(path []string) bool {
	if len(path) == 0 {
		return true
	}
	var objects []*object
	switch n.shape {
	case shapeStruct:
		objects = []*object{n.object}
	case shapeUnion:
		objects = n.variants
	}
	for _, o := range objects {
		for i := range o.fields {
			if f := &o.fields[i]; f.name == path[0] && f.node.has(path[1:]) {
				return true
			}
		}
	}
	return false
}
