package typemodel

import "reflect"

// Most variants hold no unions themselves. Where such a one is the whole value,
// the library may encode it as the plain struct that it is for it, without
// functions for types, and its brace gives way to the discriminator.

// direct returns for each struct type that can be the whole value of n, and that
// is a variant without unions, numbers as text or URLs inside, the JSON that goes
// before its own members.
func (n *node) direct() map[reflect.Type][]byte {
	var objects []*object
	switch n.shape {
	case shapeStruct:
		objects = []*object{n.object}
	case shapeUnion:
		objects = n.variants
	}
	found := map[reflect.Type][]byte{}
	for _, o := range objects {
		if len(o.fields) == 0 || o.fields[0].node.shape != shapeTag || !o.isPlain(map[*object]bool{}) {
			continue
		}
		prefix := []byte("{" + o.fields[0].quoted)
		found[o.typ] = append(prefix, o.fields[0].node.quotedTag()...)
	}
	return found
}

// isPlain reports whether the members of o need no functions for types; its own
// discriminator aside.
func (o *object) isPlain(seen map[*object]bool) bool {
	seen[o] = true
	for i := range o.fields {
		if f := &o.fields[i]; f.node.shape != shapeTag && !f.node.isPlain(seen) {
			return false
		}
	}
	return true
}

func (n *node) isPlain(seen map[*object]bool) bool {
	switch n.shape {
	case shapeUnion, shapeNumber, shapeURL:
		return false
	case shapeArray, shapeMap:
		return n.elem.isPlain(seen)
	case shapeStruct:
		if len(n.object.fields) > 0 && n.object.fields[0].node.shape == shapeTag {
			return false // a variant inside a variant
		}
		return seen[n.object] || n.object.isPlain(seen)
	}
	return true
}

// join makes one object of a prefix from direct and the object that follows it
// at out[at].
func join(out []byte, at int) []byte {
	if out[at+1] == '}' {
		return append(out[:at], '}')
	}
	out[at] = ','
	return out
}
