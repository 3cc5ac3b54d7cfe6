@description('The suffix of resource names.')
param name string

@description('The location.')
param location string

@description('The tags of each resource.')
param tags { *: string }

@description('The gate\'s managed identity.')
param identityId string

@description('The client id of the identity, for requesting access tokens.')
param identityClientId string

@description('The host\'s storage account.')
param hostAccount string

@description('The container of the package.')
param packageUrl string

@description('The connection string for telemetry.')
param insightsConnectionString string

@description('The memory of an instance, in MB.')
param instanceMemoryMB int

@description('The maximum number of instances.')
param maximumInstances int

@description('The number of instances that are always ready.')
param alwaysReady int

@description('Whether instances are spread over the region\'s zones.')
param zoneRedundant bool

@description('The addresses that may call the app; empty: all.')
param callerIps string[]

@description('The addresses that may publish the package; empty: all.')
param operatorIps string[]

@description('The subnet for the app\'s outbound calls, or empty.')
param subnetId string

@description('Whether the app can be reached only through its private endpoint.')
param isPrivate bool

@description('The public address, if it is not the app\'s own.')
param baseUrl string

@description('The app registration for sign-in and for the identities of agents; empty: no authentication.')
param entraClientId string

@description('Whether the sign-in asks for the password each time, also where there is a session.')
param asksAtSignIn bool

@description('The directory whose members may sign in, and whose programs may ask.')
param entraTenant string

@description('The gate\'s settings.')
param settings { *: string }

@description('What the diagnostic settings record.')
param diagnostics string

@description('The workspace of the diagnostic settings.')
param workspaceId string

var readyForCalls = [
  {
    name: 'http'
    instanceCount: alwaysReady
  }
]

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

// tests/infra/flex.json lists the properties that this plan takes, with sources: Azure refuses others half-way.
resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: 'func-${name}'
  location: location
  kind: 'functionapp,linux'
  tags: union(tags, { 'azd-service-name': 'gate' })
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      ipSecurityRestrictionsDefaultAction: empty(callerIps) ? 'Allow' : 'Deny'
      ipSecurityRestrictions: [
        for (ip, i) in callerIps: {
          name: 'caller-${i}'
          ipAddress: ip
          action: 'Allow'
          priority: 100 + i
        }
      ]
      scmIpSecurityRestrictionsUseMain: false
      scmIpSecurityRestrictionsDefaultAction: empty(operatorIps) ? 'Allow' : 'Deny'
      scmIpSecurityRestrictions: [
        for (ip, i) in operatorIps: {
          name: 'operator-${i}'
          ipAddress: '${ip}/32'
          action: 'Allow'
          priority: 100 + i
        }
      ]
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'custom'
        version: '1.0'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstances
        alwaysReady: alwaysReady == 0 ? [] : readyForCalls
        // Each waiting agent holds a call for up to 100 s, at almost no cost to the gate. The gate lets one caller
        // hold 100, which leaves as many for approvers' pages and other callers.
        triggers: { http: { perInstanceConcurrency: 200 } }
      }
    }
  }

  resource appsettings 'config' = {
    name: 'appsettings'
    properties: union(
      {
        AzureWebJobsStorage__accountName: hostAccount
        AzureWebJobsStorage__credential: 'managedidentity'
        AzureWebJobsStorage__clientId: identityClientId
        AzureWebJobsDisableHomepage: 'true'
        APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
        APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
        AZURE_CLIENT_ID: identityClientId
        // The sign-in authenticates with the identity instead of a secret.
        OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identityClientId
        HO_BASE_URL: empty(baseUrl) ? 'https://${app.properties.defaultHostName}' : baseUrl
      },
      settings
    )
  }

  resource auth 'config' = if (!empty(entraClientId)) {
    name: 'authsettingsV2'
    properties: {
      platform: { enabled: true }
      // Not required here: function keys, links and the gate's own checks identify callers.
      globalValidation: {
        requireAuthentication: false
        unauthenticatedClientAction: 'AllowAnonymous'
      }
      httpSettings: { requireHttps: true }
      identityProviders: {
        azureActiveDirectory: {
          enabled: true
          registration: {
            clientId: entraClientId
            clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
            openIdIssuer: '${environment().authentication.loginEndpoint}${entraTenant}/v2.0'
          }
          login: { loginParameters: asksAtSignIn ? ['prompt=login'] : [] }
          // Of the access tokens of agents; the id tokens of people have the first.
          validation: { allowedAudiences: [entraClientId, 'api://${entraClientId}'] }
        }
      }
      // The app makes no calls on behalf of approvers.
      login: { tokenStore: { enabled: false } }
    }
  }

  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

// Its log lines go to Application Insights anyhow, so they are recorded a second time only on demand.
// The stable version, of 2016, knows no groups of categories.
#disable-next-line use-recent-api-versions
resource record 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (diagnostics == 'all') {
  name: 'gate'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
  }
}

@description('The resource id of the app.')
output id string = app.id

@description('The name of the app.')
output name string = app.name

@description('The address of the gate.')
output baseUrl string = empty(baseUrl) ? 'https://${app.properties.defaultHostName}' : baseUrl
