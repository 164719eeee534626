module github.com/kanava-go/kanava/examples/serverless/azure

go 1.26.0

require (
	github.com/kanava-go/kanava v0.1.0
	github.com/kanava-go/kanava/engine/postgres v0.1.0
	github.com/kanava-go/kanava/transport/webpubsub v0.1.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/pgx/v5 v5.12.0 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/text v0.41.0 // indirect
)

replace (
	github.com/kanava-go/kanava => ../../..
	github.com/kanava-go/kanava/engine/postgres => ../../../engine/postgres
	github.com/kanava-go/kanava/transport/webpubsub => ../../../transport/webpubsub
)
