// Two accounts, so that the key to the requests, which a report may use, gives no access to the gate's program.

@description('The prefix of the accounts\' names; a letter is appended.')
@minLength(2)
param name string

@description('The location.')
param location string

@description('The tags of each resource.')
param tags { *: string }

@description('The gate\'s managed identity.')
param principalId string

@description('The table of requests.')
param tableName string

@description('Whether the requests\' account accepts its account key.')
param allowSharedKeys bool

@description('The redundancy of the requests.')
param redundancy string

@description('Whether the host\'s account is kept in three zones.')
param zoneRedundant bool

@description('The object ids that may read the requests.')
param readers string[]

@description('Whether the accounts are reached through private endpoints.')
param privateNetwork bool

@description('Whether the host\'s account is reached from outside the network nevertheless.')
param publicPackage bool

@description('The addresses that can reach the requests nevertheless.')
param operatorIps string[]

@description('What the diagnostic settings record.')
param diagnostics string

@description('The workspace of the diagnostic settings.')
param workspaceId string

var blobOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // Storage Blob Data Owner
var tableContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Storage Table Data Contributor
var tableReader = '76199698-9eea-4c19-bc75-cec21354c6b6' // Storage Table Data Reader
var packageContainer = 'package'
var changes = ['StorageWrite', 'StorageDelete']
var categories = diagnostics == 'all' ? concat(['StorageRead'], changes) : changes

resource records 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  name: '${name}r'
  location: location
  tags: tags
  sku: { name: redundancy }
  kind: 'StorageV2'
  properties: {
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
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

resource host 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  name: '${name}h'
  location: location
  tags: tags
  sku: { name: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS' }
  kind: 'StorageV2'
  properties: {
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateNetwork && !publicPackage ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: privateNetwork && !publicPackage ? 'Deny' : 'Allow'
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

// For auditors and the report.
resource mayReadRequests 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for reader in readers: {
    name: guid(records.id, reader, tableReader)
    scope: records
    properties: {
      principalId: reader
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', tableReader)
    }
  }
]

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

// The stable version, of 2016, knows no groups of categories.
#disable-next-line use-recent-api-versions
resource recordRequests 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (diagnostics != 'none') {
  name: 'gate'
  scope: records::tables
  properties: {
    workspaceId: workspaceId
    logs: [
      for category in categories: {
        category: category
        enabled: true
      }
    ]
  }
}

// The stable version, of 2016, knows no groups of categories.
#disable-next-line use-recent-api-versions
resource recordPackages 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (diagnostics != 'none') {
  name: 'gate'
  scope: host::blobs
  properties: {
    workspaceId: workspaceId
    logs: [
      for category in categories: {
        category: category
        enabled: true
      }
    ]
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
