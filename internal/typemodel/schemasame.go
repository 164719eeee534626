package typemodel

import "slices"

// sameDefinition reports whether two nodes of one type can share a definition.
// Null is no part of it: that stands where the definition is referred to.
func sameDefinition(a, b *node) bool {
	x, y := *a, *b
	x.nullable, y.nullable = false, false
	return sameNode(&x, &y, map[[2]*object]bool{})
}

// sameNode reports whether two nodes, of models for different uses, have the
// same schema. seen holds the structs that are being compared.
func sameNode(a, b *node, seen map[[2]*object]bool) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.shape == b.shape && a.typ == b.typ && a.nullable == b.nullable && a.quoted == b.quoted && a.tag == b.tag && a.enum == b.enum &&
		slices.Equal(a.keywords, b.keywords) && sameNode(a.elem, b.elem, seen) && sameNode(a.key, b.key, seen) &&
		sameObject(a.object, b.object, seen) &&
		slices.EqualFunc(a.variants, b.variants, func(x, y *object) bool { return sameObject(x, y, seen) })
}

func sameObject(a, b *object, seen map[[2]*object]bool) bool {
	if a == b || seen[[2]*object{a, b}] {
		return true
	}
	if a == nil || b == nil {
		return false
	}
	seen[[2]*object{a, b}] = true
	return slices.EqualFunc(a.fields, b.fields, func(x, y field) bool {
		return x.name == y.name && x.required == y.required && x.doc == y.doc && x.deprecated == y.deprecated &&
			x.example == y.example && x.hasExample == y.hasExample &&
			x.defaultText == y.defaultText && x.hasDefault == y.hasDefault && sameNode(x.node, y.node, seen)
	})
}
