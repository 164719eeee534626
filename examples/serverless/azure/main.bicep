// What the chat needs on Azure: Web PubSub, which posts events to a function app, the
// function app, and PostgreSQL, where the chat keeps all it has to remember.

@description('Begins the names of all resources; lower-case letters and digits')
@minLength(3)
@maxLength(11)
param name string = 'chat'

param location string = resourceGroup().location

@description('Signs the tokens of the chat')
@secure()
@minLength(32)
param secret string

@description('Of the administrator of the database, whom the chat does not use')
@secure()
@minLength(16)
param adminPassword string

@description('Of the role that setup.sql makes, as it stands in a URL: letters and digits')
@secure()
@minLength(16)
param databasePassword string

@description('Pages that may connect, separated by spaces: https://chat.example.com')
param origins string = ''

@allowed(['Free_F1', 'Standard_S1', 'Premium_P1'])
param serviceSize string = 'Free_F1'

var suffix = uniqueString(resourceGroup().id)
var appName = '${name}-${suffix}'
var deployments = 'deployments'

// Clients connect here. They show the chat who they are, not the service.
resource service 'Microsoft.SignalRService/webPubSub@2024-03-01' = {
  name: appName
  location: location
  sku: {
    name: serviceSize
    capacity: 1
  }
  properties: {
    publicNetworkAccess: 'Enabled'
    tls: {
      clientCertEnabled: false
    }
  }
}

resource hub 'Microsoft.SignalRService/webPubSub/hubs@2024-03-01' = {
  parent: service
  name: 'chat'
  properties: {
    anonymousConnectPolicy: 'allow'
    eventHandlers: [
      {
        urlTemplate: 'https://${app.properties.defaultHostName}/api/webpubsub'
        systemEvents: [
          'connect'
          'connected'
          'disconnected'
        ]
        userEventPattern: '*'
      }
    ]
  }
}

// The program is deployed to a container that only the app's identity can read.
resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: '${name}${suffix}'
  location: location
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: storage
  name: 'default'
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: deployments
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: appName
  location: location
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: appName
  location: location
  kind: 'functionapp,linux'
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    siteConfig: {
      minTlsVersion: '1.2'
    }
    functionAppConfig: {
      runtime: {
        name: 'custom'
        version: '1.0'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: 2048
        maximumInstanceCount: 40
      }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${deployments}'
          authentication: {
            type: 'SystemAssignedIdentity'
          }
        }
      }
    }
  }
}

// Encrypted where they are kept, and seen by who may write to the app.
resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: {
    AzureWebJobsStorage__accountName: storage.name
    CHAT_WEBPUBSUB: service.listKeys().primaryConnectionString
    CHAT_SECOND_KEY: service.listKeys().secondaryKey
    CHAT_DATABASE: 'postgres://chat:${databasePassword}@${server.properties.fullyQualifiedDomainName}/chat?sslmode=verify-full'
    CHAT_SECRET: secret
    CHAT_ORIGINS: origins
  }
}

// Storage Blob Data Owner, on this account only: the host keeps its locks and keys there.
var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'

resource access 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, appName, blobDataOwner)
  properties: {
    principalId: app.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataOwner)
  }
}

resource server 'Microsoft.DBforPostgreSQL/flexibleServers@2024-08-01' = {
  name: appName
  location: location
  sku: {
    name: 'Standard_B1ms'
    tier: 'Burstable'
  }
  properties: {
    version: '16'
    administratorLogin: 'chatadmin'
    administratorLoginPassword: adminPassword
    storage: {
      storageSizeGB: 32
    }
    backup: {
      backupRetentionDays: 7
      geoRedundantBackup: 'Disabled'
    }
  }
}

resource database 'Microsoft.DBforPostgreSQL/flexibleServers/databases@2024-08-01' = {
  parent: server
  name: 'chat'
}

// All of Azure, for a plan without a network of its own. The password and TLS remain.
resource fromAzure 'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules@2024-08-01' = {
  parent: server
  name: 'azure'
  properties: {
    startIpAddress: '0.0.0.0'
    endIpAddress: '0.0.0.0'
  }
}

@description('What generated clients take as the address of the server')
output server string = 'wss://${service.properties.hostName}/client/hubs'

@description('Where people sign in')
output tokens string = 'https://${app.properties.defaultHostName}/api/token'

output app string = appName
output databaseServer string = server.properties.fullyQualifiedDomainName
