package memory_test

import (
	"testing"

	"github.com/kanava-go/kanava/engine/enginetest"
)

func TestHubs(t *testing.T) { enginetest.RunHubs(t, backend()) }
