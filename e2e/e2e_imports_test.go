package e2e

import _ "github.com/kanava-go/kanava/client"
