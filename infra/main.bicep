// Everything the gate needs in one resource group. docs/deployment.md says how to use it.
targetScope = 'resourceGroup'

@description('What names begin with: lower-case letters and digits.')
@minLength(3)
@maxLength(11)
param stem string = 'oversight'

@description('Where everything is, but for Communication Services, which are global.')
param location string = resourceGroup().location

@description('Who may be named as an approver: `*@contoso.com,alice@fabrikam.com`, an address perhaps with `=` and an Entra object id. The gate does not start without it.')
@minLength(3)
param allowedApprovers string

@description('How mail is sent: by Azure Communication Services (made here), a mailbox of Microsoft 365, or a relay. docs/deployment.md has the commands that Bicep has no words for.')
@allowed(['acs', 'graph', 'smtp'])
param mail string = 'acs'

@description('For `acs`: your own domain. Empty: a domain of Azure\'s, at once, but for 10 mails an hour.')
param mailDomain string = ''

@description('For `acs` with your own domain: true once its DNS records are verified. Until then no mail can be sent.')
param mailDomainVerified bool = false

@description('For `acs`: where Communication Services keep data.')
param mailDataLocation string = 'Europe'

@description('For `acs`: who mails are from, if not DoNotReply@ the domain. For `smtp`: who mails are from.')
param mailFrom string = ''

@description('For `graph`: the mailbox that sends.')
param mailbox string = ''

@description('For `smtp`: the relay, `smtps://USER@HOST:465`, without a password.')
param smtpUrl string = ''

@description('For `smtp`: whether the vault holds the relay\'s password, as the secret `smtp-password`.')
param smtpPassword bool = false

@description('Whether everybody must sign in with Microsoft Entra ID to decide (`entra`), or the mail\'s link and code do (`link`).')
@allowed(['link', 'entra'])
param identity string = 'link'

@description('With `link`: the actions whose approvers must sign in all the same, as `Delete *,*production*`.')
param requireEntraFor string = ''

@description('The app registration that people sign in through. Needed for any sign-in.')
param entraClientId string = ''

@description('The directory whose members count.')
param entraTenant string = tenant().tenantId

@description('The table of requests, in lower case: Power BI does not find others. The index is `open` and this name.')
@minLength(3)
@maxLength(59)
param tableName string = 'approvals'

@description('Whether the requests\' account may be opened with its key, as Power BI Desktop can. It costs the proof of who wrote: with the key anybody can read, change and delete every row, no role stops them, and no log names them. Turn it off again, and rotate the keys, when the report signs in with Entra.')
param allowSharedKeys bool = false

@description('How the requests are kept: in one data centre (LRS), in three zones (ZRS), or in a second region too.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param redundancy string = 'Standard_LRS'

@description('The address that links begin with, if the app has a domain of its own: `https://gate.contoso.com`.')
param baseUrl string = ''

@description('The version of rows that are written. 1 while instances of an earlier version run beside new ones.')
@allowed(['1', '2'])
param rows string = '2'

@description('The gate\'s id, for which its rows are sealed; `NEW,OLD` changes it. Empty: the host of the base address at the first start, and that from then on.')
param gateId string = ''

@description('Further settings of the gate by name, such as `{ HO_OPEN_LIMIT: \'5000\' }`. They win over what is set here.')
param settings object = {}

@description('When the gate sweeps, as NCRONTAB with seconds. Every minute by default: mails, reminders and deadlines wait for it.')
param sweepSchedule string = '0 * * * * *'

@description('Memory of an instance.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 512

@description('How many instances there may be at most.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('How many instances wait for calls. 0 costs nothing, and the first call waits some seconds.')
param alwaysReady int = 0

@description('From which addresses (CIDR) the app may be called, by agents and approvers. Empty: from all.')
param callerIps array = []

@description('From which plain addresses the package is published and, with privateNetwork, the vault and the tables can be reached. Empty: publishing from all, and with privateNetwork vault and tables from nowhere else.')
param operatorIps array = []

@description('Whether the app reaches its storage and vault through private endpoints alone. Costs about 30 USD a month.')
param privateNetwork bool = false

@description('With privateNetwork: whether the app too can only be reached from the network.')
param privateApp bool = false

@description('With privateNetwork: the network\'s addresses, at least a /24.')
param networkAddresses string = '10.71.0.0/24'

@description('Who is mailed when something is wrong. Empty: no alerts, which cost some dollars a month.')
param alertEmails array = []

@description('How long logs are kept. 30 days are free.')
@minValue(30)
@maxValue(730)
param logDays int = 30

@description('How much may be logged a day. What comes after is lost, and the alert of the silent sweep goes off.')
param logGigabytesADay int = 1

@description('Whether the vault can be emptied for good only after 90 days. Its keys prove all receipts: leave it on.')
param purgeProtection bool = true

@description('Who may put the keys into the vault: the object id of whoever deploys. Empty: nobody is given that role.')
param keyWriter string = deployer().objectId

var token = take(uniqueString(subscription().id, resourceGroup().id, stem), 8)
var signIn = identity == 'entra' || !empty(requireEntraFor)

resource gate 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${stem}-${token}'
  location: location
}

module monitoring 'monitoring.bicep' = {
  name: 'monitoring'
  params: {
    name: '${stem}-${token}'
    location: location
    principalId: gate.properties.principalId
    logDays: logDays
    logGigabytesADay: logGigabytesADay
  }
}

module storage 'storage.bicep' = {
  name: 'storage'
  params: {
    name: 'st${stem}${token}'
    location: location
    principalId: gate.properties.principalId
    tableName: tableName
    allowSharedKeys: allowSharedKeys
    redundancy: redundancy
    privateNetwork: privateNetwork
    operatorIps: operatorIps
  }
}

module vault 'vault.bicep' = {
  name: 'vault'
  params: {
    name: 'kv-${stem}-${token}'
    location: location
    principalId: gate.properties.principalId
    keyWriter: keyWriter
    purgeProtection: purgeProtection
    privateNetwork: privateNetwork
    operatorIps: operatorIps
  }
}

module communication 'communication.bicep' = if (mail == 'acs') {
  name: 'communication'
  params: {
    name: '${stem}-${token}'
    principalId: gate.properties.principalId
    dataLocation: mailDataLocation
    domain: mailDomain
    domainVerified: mailDomainVerified
  }
}

module network 'network.bicep' = if (privateNetwork) {
  name: 'network'
  params: {
    name: 'vnet-${stem}-${token}'
    location: location
    addresses: networkAddresses
  }
}

module app 'app.bicep' = {
  name: 'app'
  params: {
    name: '${stem}-${token}'
    location: location
    identityId: gate.id
    identityClientId: gate.properties.clientId
    hostAccount: storage.outputs.hostAccount
    packageUrl: storage.outputs.packageUrl
    insightsConnectionString: monitoring.outputs.connectionString
    instanceMemoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    alwaysReady: alwaysReady
    callerIps: callerIps
    operatorIps: operatorIps
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    isPrivate: privateNetwork && privateApp
    baseUrl: baseUrl
    entraClientId: signIn ? entraClientId : ''
    entraTenant: entraTenant
    // An empty setting counts as not set.
    settings: union({
      HO_STORE: 'tables'
      HO_TABLES_ENDPOINT: storage.outputs.tablesEndpoint
      HO_TABLE: tableName
      HO_ROWS: rows
      HO_GATE_ID: gateId
      HO_LINK_KEYS: '@Microsoft.KeyVault(SecretUri=${vault.outputs.uri}secrets/link-keys)'
      HO_RECEIPT_KEYS: '@Microsoft.KeyVault(SecretUri=${vault.outputs.uri}secrets/receipt-keys)'
      HO_ALLOWED_APPROVERS: allowedApprovers
      HO_IDENTITY: identity
      HO_REQUIRE_ENTRA_FOR: requireEntraFor
      HO_ENTRA_TENANT: signIn ? entraTenant : ''
      HO_MAIL: mail
      HO_MAIL_FROM: mail == 'acs' && empty(mailFrom) ? communication!.outputs.sender : mailFrom
      HO_ACS_ENDPOINT: mail == 'acs' ? communication!.outputs.endpoint : ''
      HO_GRAPH_MAILBOX: mailbox
      HO_SMTP_URL: smtpUrl
      HO_SMTP_PASSWORD: smtpPassword ? '@Microsoft.KeyVault(SecretUri=${vault.outputs.uri}secrets/smtp-password)' : ''
      HO_SWEEP_SCHEDULE: sweepSchedule
    }, settings)
  }
}

module alerts 'alerts.bicep' = if (!empty(alertEmails)) {
  name: 'alerts'
  params: {
    name: '${stem}-${token}'
    location: location
    insightsId: monitoring.outputs.insightsId
    emails: alertEmails
  }
}

module hostBlobs 'endpoint.bicep' = if (privateNetwork) {
  name: 'endpoint-host-blob'
  params: {
    name: 'pe-${stem}-${token}-blob'
    location: location
    target: storage.outputs.hostAccountId
    group: 'blob'
    zone: 'privatelink.blob.${environment().suffixes.storage}'
    networkId: network!.outputs.id
    subnetId: network!.outputs.endpointSubnetId
  }
}

module recordTables 'endpoint.bicep' = if (privateNetwork) {
  name: 'endpoint-records-table'
  params: {
    name: 'pe-${stem}-${token}-table'
    location: location
    target: storage.outputs.recordsAccountId
    group: 'table'
    zone: 'privatelink.table.${environment().suffixes.storage}'
    networkId: network!.outputs.id
    subnetId: network!.outputs.endpointSubnetId
  }
}

module vaultSecrets 'endpoint.bicep' = if (privateNetwork) {
  name: 'endpoint-vault'
  params: {
    name: 'pe-${stem}-${token}-vault'
    location: location
    target: vault.outputs.id
    group: 'vault'
    zone: 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
    networkId: network!.outputs.id
    subnetId: network!.outputs.endpointSubnetId
  }
}

module appItself 'endpoint.bicep' = if (privateNetwork && privateApp) {
  name: 'endpoint-app'
  params: {
    name: 'pe-${stem}-${token}-app'
    location: location
    target: app.outputs.id
    group: 'sites'
    zone: 'privatelink.azurewebsites.net'
    networkId: network!.outputs.id
    subnetId: network!.outputs.endpointSubnetId
  }
}

@description('Where agents find the gate: what they have as HO_URL.')
output HO_URL string = app.outputs.baseUrl

@description('Where the requests are: for the report and for `human-oversight verify`.')
output HO_TABLES_ENDPOINT string = storage.outputs.tablesEndpoint

@description('The app that the package is published to.')
output AZURE_FUNCTION_APP_NAME string = app.outputs.name

@description('The vault that the keys are put into.')
output AZURE_KEY_VAULT_NAME string = vault.outputs.name

@description('The resource group, for azd.')
output AZURE_RESOURCE_GROUP string = resourceGroup().name
