// Two accounts, so that the key to the requests, which a report may use, gives no access to the gate's program.

@description('The prefix of the accounts\' names; a letter is appended.')
@minLength(2)
param name string

@description('The location.')
param location string

@description('The gate\'s managed identity.')
param principalId string

@description('The table of requests.')
param tableName string

@description('Whether the requests\' account accepts its account key.')
param allowSharedKeys bool

@description('The redundancy of the requests.')
param redundancy string

@description('Whether the accounts are reached through private endpoints.')
param privateNetwork bool

@description('The addresses that can reach the requests nevertheless.')
param operatorIps array

var blobOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // Storage Blob Data Owner
var tableContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Storage Table Data Contributor
var packageContainer = 'package'

resource records 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: '${name}r'
  location: location
  sku: { name: redundancy }
  kind: 'StorageV2'
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: allowSharedKeys
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateNetwork && empty(operatorIps) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: privateNetwork ? 'Deny' : 'Allow'
      ipRules: [
        for ip in operatorIps: {
          action: 'Allow'
          value: ip
        }
      ]
    }
  }

  resource tables 'tableServices' = {
    name: 'default'

    resource requests 'tables' = {
      name: tableName
    }

    resource index 'tables' = {
      name: 'open${tableName}'
    }
  }
}

resource host 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: '${name}h'
  location: location
  sku: { name: 'Standard_LRS' }
  kind: 'StorageV2'
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: privateNetwork ? 'Deny' : 'Allow'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource package 'containers' = {
      name: packageContainer
      properties: { publicAccess: 'None' }
    }
  }
}

resource mayKeepRequests 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(records.id, principalId, tableContributor)
  scope: records
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', tableContributor)
  }
}

// The host's locks, the timer's lease, function keys and the package.
resource mayHost 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(host.id, principalId, blobOwner)
  scope: host
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobOwner)
  }
}

@description('The requests\' account.')
output recordsAccountId string = records.id

@description('The endpoint of the requests.')
output tablesEndpoint string = records.properties.primaryEndpoints.table

@description('The host\'s account.')
output hostAccount string = host.name

@description('The host\'s account.')
output hostAccountId string = host.id

@description('The container to which the package is published.')
output packageUrl string = '${host.properties.primaryEndpoints.blob}${packageContainer}'
