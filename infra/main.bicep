// Everything that the gate needs, in one resource group. docs/deployment.md explains its use.
targetScope = 'resourceGroup'

@description('The prefix of resource names: lower-case letters and digits, a letter first.')
@minLength(3)
@maxLength(11)
param stem string = 'oversight'

@description('The location of all resources except Communication Services, which are global.')
param location string = resourceGroup().location

@description('The approvers that requests may name: `alice@contoso.com,bob@contoso.com`, each address optionally followed by `=` and an Entra object id. The gate does not start without it. `*@contoso.com` stands for every address of a domain; with `identity` `link` it needs `allowWildcardLinks`.')
@minLength(3)
param allowedApprovers string

@description('Whether `allowedApprovers` may contain `*@DOMAIN` although links decide. An agent then chooses the mailbox that gets link and code: its own, a distribution list, an alias of the person it acts for. docs/sign-in.md has the alternatives.')
param allowWildcardLinks bool = false

@description('The email transport: Azure Communication Services (created here), a Microsoft 365 mailbox, or an SMTP relay. docs/deployment.md has the commands for what Bicep cannot do.')
@allowed(['acs', 'graph', 'smtp'])
param mail string = 'acs'

@description('For `acs`: your own domain. Empty: an Azure-managed domain, available at once but limited to 10 emails an hour.')
param mailDomain string = ''

@description('For `acs` with your own domain: true once its DNS records are verified. Until then no email can be sent.')
param mailDomainVerified bool = false

@description('For `acs`: the geography in which Communication Services store data.')
param mailDataLocation string = 'Europe'

@description('The sender of emails. For `acs`: if it is not DoNotReply@ the domain. For `smtp`: always.')
param mailFrom string = ''

@description('For `graph`: the mailbox that sends.')
param mailbox string = ''

@description('For `smtp`: the relay, `smtps://USER@HOST:465`, without a password.')
param smtpUrl string = ''

@description('For `smtp`: whether the vault contains the relay\'s password, as the secret `smtp-password`.')
param smtpPassword bool = false

@description('How approvers identify themselves: by signing in with Microsoft Entra ID (`entra`), or by the email\'s link and code (`link`).')
@allowed(['link', 'entra'])
param identity string = 'link'

@description('With `link`: the actions whose approvers must sign in nevertheless, such as `Delete *,*production*`.')
param requireEntraFor string = ''

@description('The app registration for sign-in. Required for any sign-in.')
param entraClientId string = ''

@description('The directory whose members may sign in.')
param entraTenant string = tenant().tenantId

@description('The table of requests, in lower case: Power BI does not find other names. The index is named `open` followed by this name.')
@minLength(3)
@maxLength(59)
param tableName string = 'approvals'

@description('Whether the requests\' account accepts its account key, which Power BI Desktop can use. The cost is accountability: with the key, anyone can read, change and delete every row, no role restricts that, and no log names the caller. Turn it off again, and rotate the keys, when the report signs in with Entra.')
param allowSharedKeys bool = false

@description('The redundancy of the requests: one data centre (LRS), three zones (ZRS), or a second region too.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param redundancy string = 'Standard_LRS'

@description('The base address of links, if the app has a domain of its own: `https://gate.contoso.com`.')
param baseUrl string = ''

@description('Earlier base addresses, separated by commas: agents go on accepting what the gate signed under them.')
param issuers string = ''

@description('The version of rows that the gate writes. 1 while instances of an earlier version run beside new ones.')
@allowed(['1', '2'])
param rows string = '2'

@description('The gate\'s id, which the MAC of each row names; `NEW,OLD` changes it. Empty: the host of the base address at the first start, stored from then on.')
param gateId string = ''

@description('Additional settings of the gate by name, such as `{ HO_OPEN_LIMIT: \'5000\' }`. They take precedence over the settings made here.')
param settings object = {}

@description('The schedule of the sweep, as NCRONTAB with seconds. Every minute by default: retried emails, reminders and the recording of timeouts wait for it.')
param sweepSchedule string = '0 * * * * *'

@description('The memory of an instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 512

@description('The maximum number of instances.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('The number of instances that are always ready. With 0, which costs nothing, the first call waits some seconds.')
@minValue(0)
param alwaysReady int = 0

@description('The addresses (CIDR) from which agents and approvers may call the app. Empty: all.')
param callerIps array = []

@description('The single addresses from which the package may be published and, with privateNetwork, the vault and the tables can be reached. Empty: publishing from all addresses, and with privateNetwork the vault and the tables only from the network.')
param operatorIps array = []

@description('Whether the app reaches its storage and vault through private endpoints only. Costs about 30 USD a month.')
param privateNetwork bool = false

@description('With privateNetwork: whether the app itself can also be reached only from the network.')
param privateApp bool = false

@description('With privateNetwork: the network\'s address range, at least a /24.')
param networkAddresses string = '10.71.0.0/24'

@description('The email addresses that receive alerts. Empty: no alerts, which cost some dollars a month.')
param alertEmails array = []

@description('The retention of logs, in days. 30 days are free.')
@minValue(30)
@maxValue(730)
param logDays int = 30

@description('The daily limit of logs, in gigabytes. Log lines beyond it are lost, and the alert on the silent sweep fires.')
param logGigabytesADay int = 1

@description('Whether deleted secrets of the vault can be purged only after 90 days. Its keys prove all receipts: leave it on.')
param purgeProtection bool = true

@description('The object id of the account that deploys, which may then put the keys into the vault. Empty: the role is not assigned.')
param keyWriter string = deployer().objectId

var token = take(uniqueString(subscription().id, resourceGroup().id, stem), 8)
var signIn = identity == 'entra' || !empty(requireEntraFor)

// What Azure would refuse half-way, what the gate would refuse at its start, and what would do nothing, is refused
// before anything is made.
var signs = 'abcdefghijklmnopqrstuvwxyz0123456789'
var unusableNames = filter([stem, toLower(tableName)], name => contains('0123456789', take(name, 1)) || !empty(filter(map(range(0, length(name)), i => substring(name, i, 1)), sign => !contains(signs, sign))))
var refusals = filter(
  [
    {
      wrong: contains(unusableNames, stem)
      says: 'stem must consist of lower-case letters and digits, a letter first.'
    }
    {
      wrong: contains(unusableNames, toLower(tableName))
      says: 'tableName must consist of letters and digits, a letter first.'
    }
    {
      wrong: signIn && empty(entraClientId)
      says: 'identity entra and requireEntraFor need entraClientId, the app registration for sign-in.'
    }
    {
      wrong: !empty(entraClientId) && (length(entraClientId) != 36 || length(split(entraClientId, '-')) != 5)
      says: 'entraClientId must be the GUID of the app registration.'
    }
    {
      wrong: signIn && (length(entraTenant) != 36 || length(split(entraTenant, '-')) != 5)
      says: 'entraTenant must be the GUID of the directory.'
    }
    {
      wrong: mail == 'graph' && empty(mailbox) && !contains(settings, 'HO_GRAPH_MAILBOX')
      says: 'mail graph needs mailbox, the address that sends.'
    }
    {
      wrong: mail == 'smtp' && empty(smtpUrl) && !contains(settings, 'HO_SMTP_URL')
      says: 'mail smtp needs smtpUrl, the relay: smtps://USER@HOST:465.'
    }
    {
      wrong: mail == 'smtp' && empty(mailFrom) && !contains(settings, 'HO_MAIL_FROM')
      says: 'mail smtp needs mailFrom, the sender of emails.'
    }
    {
      wrong: mailDomainVerified && empty(mailDomain)
      says: 'mailDomainVerified needs mailDomain.'
    }
    {
      wrong: privateApp && !privateNetwork
      says: 'privateApp needs privateNetwork.'
    }
    {
      wrong: parseCidr(networkAddresses).cidr > 24
      says: 'networkAddresses must be at least a /24.'
    }
    {
      wrong: !empty(filter(operatorIps, ip => contains(ip, '/')))
      says: 'operatorIps must be single addresses, without a /.'
    }
    {
      wrong: !contains(sweepSchedule, ':') && !contains([5, 6], length(split(sweepSchedule, ' ')))
      says: 'sweepSchedule must have 5 or 6 fields, separated by one space, or be a time span such as 00:01:00.'
    }
  ],
  refusal => refusal.wrong
)
// Every name is made of it, so nothing is made if this fails.
var prefix = empty(refusals) ? stem : fail(join(map(refusals, refusal => refusal.says), ' '))

resource gate 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${prefix}-${token}'
  location: location
}

module monitoring 'monitoring.bicep' = {
  name: 'monitoring'
  params: {
    name: '${prefix}-${token}'
    location: location
    principalId: gate.properties.principalId
    logDays: logDays
    logGigabytesADay: logGigabytesADay
  }
}

module storage 'storage.bicep' = {
  name: 'storage'
  params: {
    name: 'st${prefix}${token}'
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
    name: 'kv-${prefix}-${token}'
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
    name: '${prefix}-${token}'
    principalId: gate.properties.principalId
    dataLocation: mailDataLocation
    domain: mailDomain
    domainVerified: mailDomainVerified
  }
}

module network 'network.bicep' = if (privateNetwork) {
  name: 'network'
  params: {
    name: 'vnet-${prefix}-${token}'
    location: location
    addresses: networkAddresses
  }
}

module app 'app.bicep' = {
  name: 'app'
  params: {
    name: '${prefix}-${token}'
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
    settings: union(
      {
        HO_STORE: 'tables'
        HO_TABLES_ENDPOINT: storage.outputs.tablesEndpoint
        HO_TABLE: tableName
        HO_ROWS: rows
        HO_GATE_ID: gateId
        HO_ISSUERS: issuers
        HO_LINK_KEYS: '@Microsoft.KeyVault(SecretUri=${vault.outputs.uri}secrets/link-keys)'
        HO_RECEIPT_KEYS: '@Microsoft.KeyVault(SecretUri=${vault.outputs.uri}secrets/receipt-keys)'
        HO_ALLOWED_APPROVERS: allowedApprovers
        HO_ALLOW_WILDCARD_LINKS: allowWildcardLinks ? '1' : ''
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
      },
      settings
    )
  }
}

module alerts 'alerts.bicep' = if (!empty(alertEmails)) {
  name: 'alerts'
  params: {
    name: '${prefix}-${token}'
    location: location
    insightsId: monitoring.outputs.insightsId
    emails: alertEmails
  }
}

module hostBlobs 'endpoint.bicep' = if (privateNetwork) {
  name: 'endpoint-host-blob'
  params: {
    name: 'pe-${prefix}-${token}-blob'
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
    name: 'pe-${prefix}-${token}-table'
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
    name: 'pe-${prefix}-${token}-vault'
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
    name: 'pe-${prefix}-${token}-app'
    location: location
    target: app.outputs.id
    group: 'sites'
    zone: 'privatelink.azurewebsites.net'
    networkId: network!.outputs.id
    subnetId: network!.outputs.endpointSubnetId
  }
}

@description('The address of the gate, for the HO_URL of agents.')
output HO_URL string = app.outputs.baseUrl

@description('The endpoint of the requests, for the report and for `human-oversight verify`.')
output HO_TABLES_ENDPOINT string = storage.outputs.tablesEndpoint

@description('The app to which the package is published.')
output AZURE_FUNCTION_APP_NAME string = app.outputs.name

@description('The vault of the keys.')
output AZURE_KEY_VAULT_NAME string = vault.outputs.name

@description('The resource group, for azd.')
output AZURE_RESOURCE_GROUP string = resourceGroup().name
