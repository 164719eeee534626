package enginetest

import (
	"flag"
	"slices"
	"strings"
	"testing"
)

// mutant is an engine that breaks one rule.
type mutant struct {
	name  string
	bend  func(w *world, b *bent)
	found []string // behaviours that must fail, each by what its name contains
	hang  bool     // links that are cut hang
}

// The suite finds what it is to find: it fails with each mutant, where it should.
func TestSuiteFindsMutants(t *testing.T) {
	quietRapid(t)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			fails(t, behaviours, m.found, func() *lab { return (&world{bend: m.bend, hang: m.hang}).lab() })
		})
	}
}

// fails fails the test unless behaviours fail in a lab, each of those that are to.
func fails(t *testing.T, behaviours []behaviour, found []string, in func() *lab) {
	for _, name := range found {
		for _, bh := range named(t, behaviours, name) {
			failures := try(t, bh, in)
			if len(failures) == 0 {
				t.Errorf("nothing is wrong with %q", bh.name)
			}
			for _, f := range failures[:min(1, len(failures))] {
				t.Logf("%s: %.300s", bh.name, f)
			}
		}
	}
}

// Nothing is found where nothing is wrong, neither with links that are cut nor
// with links that hang.
func TestSuiteFindsNothingWrong(t *testing.T) {
	quietRapid(t)
	for _, bh := range behaviours {
		t.Run(bh.name, func(t *testing.T) {
			for _, hang := range []bool{false, true} {
				w := &world{hang: hang}
				for _, f := range try(t, bh, w.lab) {
					t.Errorf("links that hang %v: %s", hang, f)
				}
			}
		})
	}
}

// Each behaviour is what finds some mutant: none is there in vain.
func TestEachBehaviourFindsAMutant(t *testing.T) {
	var found []string
	for _, m := range mutants {
		found = append(found, m.found...)
	}
	allFind(t, behaviours, found)
}

// allFind fails the test unless each of the behaviours is among those that find a
// mutant.
func allFind(t *testing.T, behaviours []behaviour, found []string) {
	for _, bh := range behaviours {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(bh.name, f) }) {
			t.Errorf("no mutant fails %q", bh.name)
		}
	}
}

// named returns the behaviour of a name, or those whose names contain it.
func named(t *testing.T, behaviours []behaviour, text string) (found []behaviour) {
	for _, bh := range behaviours {
		if bh.name == text {
			return []behaviour{bh}
		}
		if strings.Contains(bh.name, text) {
			found = append(found, bh)
		}
	}
	if len(found) == 0 {
		t.Fatalf("no behaviour has %q in its name", text)
	}
	return found
}

// quietRapid keeps rapid from writing files for failures that must be, and from
// looking for smaller ones. It tries the same in each run: a mutant that some
// hundred sequences find by chance only would be found now and then.
func quietRapid(t *testing.T) {
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "0s", "rapid.checks": "300", "rapid.seed": "1"} {
		former := flag.Lookup(name).Value.String()
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set(name, former) })
	}
}

const modelName = "what a model says"

var mutants = slices.Concat(orderMutants, keepingMutants, readMutants, payloadMutants, nameMutants, endMutants, faultMutants, registryMutants, stampMutants)
