@description('The suffix of resource names.')
param name string

@description('The location.')
param location string

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

@description('The addresses that may call the app; empty: all.')
param callerIps array

@description('The addresses that may publish the package; empty: all.')
param operatorIps array

@description('The subnet for the app\'s outbound calls, or empty.')
param subnetId string

@description('Whether the app can be reached only through its private endpoint.')
param isPrivate bool

@description('The public address, if it is not the app\'s own.')
param baseUrl string

@description('The app registration for sign-in; empty: no sign-in.')
param entraClientId string

@description('The directory whose members may sign in.')
param entraTenant string

@description('The gate\'s settings.')
param settings object

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: 'plan-${name}'
  location: location
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: 'func-${name}'
  location: location
  kind: 'functionapp,linux'
  tags: { 'azd-service-name': 'gate' }
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
        alwaysReady: alwaysReady == 0 ? [] : [
          {
            name: 'http'
            instanceCount: alwaysReady
          }
        ]
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
      // Agents send function keys, and the gate itself asks approvers to sign in.
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

@description('The resource id of the app.')
output id string = app.id

@description('The name of the app.')
output name string = app.name

@description('The address of the gate.')
output baseUrl string = empty(baseUrl) ? 'https://${app.properties.defaultHostName}' : baseUrl
