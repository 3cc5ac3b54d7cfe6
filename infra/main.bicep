// Everything that the gate needs, in one resource group. docs/deployment.md explains its use.
// API versions, here and in the modules: the newest stable one of 2025, or, if there is none of that year, the newest.
targetScope = 'resourceGroup'

@description('The prefix of resource names: lower-case letters and digits, a letter first.')
@minLength(3)
@maxLength(11)
param stem string = 'oversight'

@description('The location of all resources except Communication Services, which are global.')
param location string = resourceGroup().location

@description('The tags of each resource, such as `{ costCenter: \'1234\' }`. A policy that demands tags refuses a resource without them.')
param tags { *: string } = {}

@description('The approvers that requests may name: `alice@contoso.com,bob@contoso.com`, each address optionally followed by `=` and an Entra object id. The gate does not start without it. `*@contoso.com` stands for every address of a domain; with `identity` `link` it needs `allowWildcardLinks`. `*@contoso.com=group:ID` and `*@contoso.com=role:NAME` are for members of a group of the directory and need sign-in.')
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
@allowed([
  'Africa'
  'Asia Pacific'
  'Australia'
  'Brazil'
  'Canada'
  'Europe'
  'France'
  'Germany'
  'India'
  'Japan'
  'Korea'
  'Norway'
  'Switzerland'
  'UAE'
  'UK'
  'United States'
  'usgov'
])
param mailDataLocation string = 'Europe'

@description('For `acs`: whether the gate learns of emails that did not arrive, from Event Grid. Only once the package is published: Event Grid asks the gate for its consent.')
param deliveryReports bool = false

@description('The sender of emails. For `acs`: if it is not DoNotReply@ `mailDomain`; create it first (docs/deployment.md). For `smtp`: always.')
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

@description('The text of the organisation\'s policy (docs/policy.md), at most 64 KiB: `loadTextContent(\'policy.toml\')`. Empty: the approvers whom the agent names decide.')
param policy string = ''

@description('The URLs and secrets of the channels that the policy names, by their settings, such as `{ HO_CHANNEL_LEDGER: \'https://…\', HO_CHANNEL_LEDGER_SECRET: \'whsec_…\' }`. They go into the vault, and the gate gets references. docs/notifications.md has more.')
@secure()
param channels { *: string } = {}

@description('How agents identify themselves: by function keys (`key`), by access tokens of Microsoft Entra ID (`entra`), or by either (`both`).')
@allowed(['key', 'entra', 'both'])
param agentIdentity string = 'key'

@description('The app registration for sign-in and for the identities of agents. Required for either.')
param entraClientId string = ''

@description('The directory whose members may sign in, and whose programs may ask.')
param entraTenant string = tenant().tenantId

@description('How long ago a person may have authenticated who decides by sign-in, in seconds, at least 60; 0: that does not matter. The platform then asks for the password at each sign-in (`prompt=login`). Needs `hasAuthTimeClaim`.')
@minValue(0)
@maxValue(2592000)
param entraMaxAge int = 0

@description('Whether the app registration has the optional claim `auth_time` of the ID token (docs/deployment.md). Without it, a gate with `entraMaxAge` refuses every decision by sign-in.')
param hasAuthTimeClaim bool = false

@description('The table of requests, in lower case: Power BI does not find other names. The index is named `open` followed by this name.')
@minLength(3)
@maxLength(59)
param tableName string = 'approvals'

@description('Whether the requests\' account accepts its account key, which Power BI Desktop can use. The cost is accountability: with the key, anyone can read, change and delete every row, no role restricts that, and no log names the caller. Turn it off again, and rotate the keys, when the report signs in with Entra.')
param allowSharedKeys bool = false

@description('The redundancy of the requests: one data centre (LRS), three zones (ZRS), or a second region too.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param redundancy string = 'Standard_LRS'

@description('The object ids of the users, groups and identities that may read the requests: auditors, and what refreshes the report.')
param readers string[] = []

@description('The base address of links, if the app has a domain of its own: `https://gate.contoso.com`, without a path.')
param baseUrl string = ''

@description('Earlier base addresses, separated by commas: agents go on accepting what the gate signed under them.')
param issuers string = ''

@description('The version of rows that the gate writes. 1 while instances of an earlier version run beside new ones.')
@allowed(['1', '2'])
param rows string = '2'

@description('The gate\'s id, which the MAC of each row names; `NEW,OLD` changes it. Empty: the host of the base address at the first start, stored from then on.')
param gateId string = ''

@description('The time zone in which pages and emails show times beside UTC, by its name in the IANA database, such as `Europe/Berlin`. Empty: UTC alone.')
param timeZone string = ''

@description('The reasons that the page offers for a rejection, separated by `;`, such as `Not needed; Wrong amount`; `off` offers free text alone. Empty: the gate\'s own four.')
param rejectReasons string = ''

@description('Additional settings of the gate by name, such as `{ HO_OPEN_LIMIT: \'5000\' }`, each a string. They take precedence over the settings made here.')
param settings { *: string } = {}

@description('The schedule of the sweep, as NCRONTAB with seconds. Every minute by default: retried emails, reminders and the recording of timeouts wait for it. With `alertEmails`, at least every 7 minutes: the alert `sweep-silent` fires after 15 minutes without a sweep.')
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
@maxValue(1000)
param alwaysReady int = 0

@description('Whether the app runs in several zones of the region, and the host\'s account in three. Azure then keeps at least two instances ready for calls and two for the sweep, about 20 USD a month with 512 MB. Needs a `redundancy` with `ZRS`.')
param zoneRedundant bool = false

@description('The address ranges (CIDR) from which agents and approvers may call the app: `198.51.100.0/24`, `198.51.100.7/32`. Empty: all.')
param callerIps string[] = []

@description('The single addresses from which the package may be published and, with privateNetwork, the vault and the tables can be reached. Empty: publishing from all addresses, and with privateNetwork the vault and the tables only from the network.')
param operatorIps string[] = []

@description('Whether the app reaches its storage and vault through private endpoints only. Costs about 30 USD a month.')
param privateNetwork bool = false

@description('With privateNetwork: whether the app itself can also be reached only from the network.')
param privateApp bool = false

@description('With privateNetwork: whether the vault accepts calls from outside the network nevertheless, which still need a role. For the case that the deployment ends with references that are not resolved.')
param publicVault bool = false

@description('With privateNetwork: the same for the host\'s account, which has the package. For the case that publishing is refused.')
param publicPackage bool = false

@description('With privateNetwork: the address range of the network that is made, at least a /24.')
param networkAddresses string = '10.71.0.0/24'

@description('With privateNetwork: the id of an existing subnet for the app\'s outbound calls, at least a /27, delegated to `Microsoft.App/environments`, in the region of `location`. Empty: a network is made.')
param appSubnetId string = ''

@description('With privateNetwork: the id of an existing subnet for the private endpoints, in the same network. Empty: a network is made.')
param endpointSubnetId string = ''

@description('With privateNetwork: where the private DNS zones are. `create` makes them here and links them to the network; `none` leaves the endpoints\' names to a policy; else the id of the resource group that has the zones: `/subscriptions/…/resourceGroups/…`.')
param dnsZones string = 'create'

@description('The email addresses that receive alerts. Empty: no alerts, which cost some dollars a month.')
param alertEmails string[] = []

@description('The retention of logs, in days. 30 days are free.')
@minValue(30)
@maxValue(730)
param logDays int = 30

@description('The daily limit of logs, in gigabytes. Log lines beyond it are lost, and the alert on the silent sweep fires.')
@minValue(1)
param logGigabytesADay int = 1

@description('What the diagnostic settings record: `audit`, every change of the tables and of the package, every use of the vault and every email; `all`, also reads of tables and package, and the app\'s log lines a second time; or `none`.')
@allowed(['none', 'audit', 'all'])
param diagnostics string = 'audit'

@description('The id of the workspace that receives what the diagnostic settings record. Empty: the workspace that is made here.')
param diagnosticsWorkspace string = ''

@description('Whether deleted secrets of the vault can be purged only after 90 days. Its keys prove all receipts: leave it on.')
param purgeProtection bool = true

@description('The object id of the account that deploys, which may put the keys into the vault until `scripts/vault-keys` ends that. Empty: the role is not assigned, which suits each deployment after the first.')
param keyWriter string = deployer().objectId

@description('The number of days after which the vault marks keys that are made now as expired, which reminds of their rotation. 0: never. Neither vault nor gate refuses an expired key.')
@minValue(0)
param secretDays int = 0

var token = take(uniqueString(subscription().id, resourceGroup().id, stem), 8)
var signIn = identity == 'entra' || !empty(requireEntraFor)
var approvers = partsOf(allowedApprovers, ',')
var setsIdentity = contains(settings, 'HO_IDENTITY')
var takesPatterns = allowWildcardLinks || setsIdentity || contains(settings, 'HO_ALLOW_WILDCARD_LINKS')
var hasPassword = contains(userOf(smtpUrl), ':') || contains(settings, 'HO_SMTP_PASSWORD')
var publicUrl = empty(baseUrl) ? '' : 'https://${segmentOf(baseUrl, 2)}'
var makesNetwork = privateNetwork && empty(appSubnetId)
var usesEntra = signIn || agentIdentity != 'key'

// What Azure would refuse half-way, what the gate would refuse at its start, and what would do nothing, is refused
// before anything is made.
func signsOf(text string) string[] => map(range(0, length(text)), i => substring(text, i, 1))
func isOf(text string, signs string) bool => empty(filter(signsOf(text), sign => !contains(signs, sign)))
func isName(text string) bool =>
  isOf(text, 'abcdefghijklmnopqrstuvwxyz0123456789') && !isOf(take(text, 1), '0123456789')
func isHex(text string) bool => isOf(toLower(text), '0123456789abcdef')
func lengthsOf(parts string[]) string => join(map(parts, part => string(length(part))), '-')
func isGuid(text string) bool => lengthsOf(split(text, '-')) == '8-4-4-4-12' && isHex(replace(text, '-', ''))
func numbers(least int, most int) string[] => map(range(least, most - least + 1), n => string(n))
func octetsOf(text string) string[] => filter(split(text, '.'), part => contains(numbers(0, 255), part))
func isAddress(text string) bool => length(split(text, '.')) == 4 && length(octetsOf(text)) == 4
func startOf(cidr string) string => join(take(split(cidr, '/'), 1), '')
func sizeOf(cidr string) string => join(skip(split(cidr, '/'), 1), '/')
func isNetwork(cidr string, sizes string[]) bool => isAddress(startOf(cidr)) && contains(sizes, sizeOf(cidr))
func isNetwork6(cidr string) bool =>
  contains(cidr, ':') && isHex(replace(startOf(cidr), ':', '')) && contains(numbers(0, 128), sizeOf(cidr))
func segmentOf(id string, index int) string => join(take(skip(split(id, '/'), index), 1), '')
func isGroupId(id string) bool =>
  length(split(id, '/')) == 5 && segmentOf(id, 1) == 'subscriptions' && segmentOf(id, 3) == 'resourceGroups'
func isSubnetId(id string) bool =>
  length(split(id, '/')) == 11 && segmentOf(id, 7) == 'virtualNetworks' && segmentOf(id, 9) == 'subnets'
func networkOf(subnetId string) string => join(take(split(subnetId, '/'), 9), '/')
func partsOf(text string, sign string) string[] =>
  filter(map(split(text, sign), part => trim(part)), part => !empty(part))
func isChannel(name string) bool =>
  startsWith(name, 'HO_CHANNEL_') && isOf(skip(name, 11), 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_') && length(name) > 11
func isIn(policy string, name string) bool => contains(policy, '"${name}"') || contains(policy, '\'${name}\'')
func urlOf(name string) string => endsWith(name, '_SECRET') ? take(name, length(name) - 7) : name
func names(policy string, name string) bool => isIn(policy, name) || isIn(policy, urlOf(name))
func isOfChannel(text string) bool => startsWith(text, 'https://') || startsWith(text, 'whsec_')
func areIds(list string) bool => length(split(list, ',')) < 3 && empty(filter(split(list, ','), id => !isId(trim(id))))
func isEmail(text string) bool => length(split(text, '@')) == 2 && !contains(text, ' ')
func isApprover(text string) bool => length(split(text, '@')) == 2 && !contains(text, ';')
func isPattern(text string) bool => startsWith(text, '*@') && !contains(text, '=')
func isOfDirectory(text string) bool => contains(text, '=group:') || contains(text, '=role:')
func isId(text string) bool => !empty(text) && isOf(toLower(text), 'abcdefghijklmnopqrstuvwxyz0123456789._-')
func isRelay(text string) bool => contains(['smtp:', 'smtps:'], segmentOf(text, 0)) && !contains(text, '?')
func userOf(url string) string => contains(url, '@') ? join(take(split(segmentOf(url, 2), '@'), 1), '') : ''
func pathOf(url string) string => join(filter(skip(split(url, '/'), 3), part => !empty(part)), '/')
func isHost(text string) bool => !empty(text) && empty(filter(['@', '?', '#', ' '], sign => contains(text, sign)))
func isBase(url string) bool =>
  startsWith(url, 'https://') && isHost(segmentOf(url, 2)) && contains(['', 'api'], pathOf(url))
func areReasons(list string) bool =>
  contains(numbers(1, 10), string(length(partsOf(list, ';')))) && !contains(replace(list, ' ', ''), ';;')
func isSpan(text string) bool => isOf(text, '0123456789:') && contains([2, 3], length(split(text, ':')))
func isCron(text string) bool =>
  contains([5, 6], length(split(text, ' '))) && isOf(toLower(text), 'abcdefghijklmnopqrstuvwxyz0123456789*,-/ ')

var refusals = filter(
  [
    {
      wrong: !isName(stem)
      says: 'stem must consist of lower-case letters and digits, a letter first.'
    }
    {
      wrong: !isName(toLower(tableName))
      says: 'tableName must consist of letters and digits, a letter first.'
    }
    {
      wrong: usesEntra && empty(entraClientId)
      says: 'identity entra, requireEntraFor and agentIdentity need entraClientId, the app registration.'
    }
    {
      wrong: !empty(entraClientId) && !isGuid(entraClientId)
      says: 'entraClientId must be the GUID of the app registration.'
    }
    {
      wrong: usesEntra && !isGuid(entraTenant)
      says: 'entraTenant must be the GUID of the directory.'
    }
    {
      wrong: entraMaxAge > 0 && !(entraMaxAge > 59 && signIn)
      says: 'entraMaxAge must be at least 60 seconds, and sign-in on: identity entra or requireEntraFor.'
    }
    {
      wrong: entraMaxAge > 0 && !hasAuthTimeClaim
      says: 'entraMaxAge needs hasAuthTimeClaim: add the optional claim auth_time to the ID token of the app registration.'
    }
    {
      wrong: contains(settings, 'HO_ENTRA_MAX_AGE')
      says: 'HO_ENTRA_MAX_AGE must be set by entraMaxAge, together with what it takes.'
    }
    {
      wrong: !empty(filter(readers, reader => !isGuid(reader)))
      says: 'readers must be object ids, each a GUID.'
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
      wrong: !empty(filter(items(channels), channel => !isChannel(channel.key)))
      says: 'channels must have names of settings: HO_CHANNEL_ and capitals, digits and _, as the policy has them.'
    }
    {
      wrong: !empty(filter(items(channels), channel => !isOfChannel(channel.value)))
      says: 'channels must be URLs that begin with https://, and secrets that begin with whsec_.'
    }
    {
      wrong: !empty(policy) && !empty(filter(items(channels), it => !names(policy, it.key)))
      says: 'channels must be those that the policy names.'
    }
    {
      wrong: !empty(mailbox) && !isEmail(mailbox)
      says: 'mailbox must be an email address.'
    }
    {
      wrong: deliveryReports && (mail != 'acs' || privateApp || !empty(callerIps))
      says: 'deliveryReports needs mail acs, and an app that Event Grid reaches: neither privateApp nor callerIps.'
    }
    {
      wrong: mailDomainVerified && empty(mailDomain)
      says: 'mailDomainVerified needs mailDomain.'
    }
    {
      wrong: contains(mailDomain, '@')
      says: 'mailDomain must be a domain such as contoso.com, without an @.'
    }
    {
      wrong: !empty(baseUrl) && !isBase(baseUrl)
      says: 'baseUrl must be https://HOST, without a path.'
    }
    {
      wrong: !empty(filter(partsOf(issuers, ','), issuer => !isBase(issuer)))
      says: 'issuers must be earlier base addresses, https://HOST, separated by commas.'
    }
    {
      wrong: empty(approvers) || !empty(filter(approvers, it => !isApprover(it)))
      says: 'allowedApprovers must be addresses and *@DOMAIN patterns, separated by commas.'
    }
    {
      wrong: identity == 'link' && !takesPatterns && !empty(filter(approvers, it => isPattern(it)))
      says: 'allowedApprovers with *@DOMAIN needs identity entra, or allowWildcardLinks: the agent then chooses the mailbox that gets link and code.'
    }
    {
      wrong: !signIn && !setsIdentity && isOfDirectory(allowedApprovers)
      says: 'allowedApprovers with a group or role needs sign-in: identity entra or requireEntraFor.'
    }
    {
      wrong: !empty(mailFrom) && !isEmail(mailFrom)
      says: 'mailFrom must be an email address.'
    }
    {
      wrong: mail == 'acs' && isEmail(mailFrom) && !endsWith(toLower(mailFrom), '@${toLower(mailDomain)}')
      says: 'mailFrom needs mail smtp or graph, or the domain of mailDomain: an Azure-managed domain sends as DoNotReply@ alone.'
    }
    {
      wrong: !empty(smtpUrl) && !isRelay(smtpUrl)
      says: 'smtpUrl must be smtps://USER@HOST:465 or smtp://USER@HOST:587, which use TLS.'
    }
    {
      wrong: mail == 'smtp' && isRelay(smtpUrl) && !hasPassword && empty(userOf(smtpUrl)) == smtpPassword
      says: 'smtpUrl with a user needs smtpPassword, and the other way round.'
    }
    {
      wrong: rows == '1' && (agentIdentity != 'key' || !empty(policy))
      says: 'rows must be 2 with a policy, or with agentIdentity entra or both.'
    }
    {
      wrong: !empty(gateId) && !areIds(gateId)
      says: 'gateId must be an id of letters, digits and ._-, or NEW,OLD.'
    }
    {
      wrong: !empty(rejectReasons) && !areReasons(rejectReasons)
      says: 'rejectReasons must be 1 to 10 reasons, separated by semicolons, or off.'
    }
    {
      wrong: privateApp && !privateNetwork
      says: 'privateApp needs privateNetwork.'
    }
    {
      wrong: (publicVault || publicPackage) && !privateNetwork
      says: 'publicVault and publicPackage need privateNetwork.'
    }
    {
      wrong: (!empty(appSubnetId) || !empty(endpointSubnetId)) && !privateNetwork
      says: 'appSubnetId and endpointSubnetId need privateNetwork.'
    }
    {
      wrong: privateNetwork && empty(appSubnetId) != empty(endpointSubnetId)
      says: 'appSubnetId needs endpointSubnetId, and the other way round: either both subnets exist, or a network is made.'
    }
    {
      wrong: !empty(filter([appSubnetId, endpointSubnetId], id => !empty(id) && !isSubnetId(id)))
      says: 'appSubnetId and endpointSubnetId must be ids of subnets: /subscriptions/…/virtualNetworks/…/subnets/….'
    }
    {
      wrong: dnsZones != 'create' && dnsZones != 'none' && !isGroupId(dnsZones)
      says: 'dnsZones must be create, none, or the id of a resource group: /subscriptions/…/resourceGroups/….'
    }
    {
      wrong: zoneRedundant && !contains(redundancy, 'ZRS')
      says: 'zoneRedundant needs redundancy Standard_ZRS or Standard_GZRS.'
    }
    {
      wrong: !empty(diagnosticsWorkspace) && toLower(segmentOf(diagnosticsWorkspace, 7)) != 'workspaces'
      says: 'diagnosticsWorkspace must be the id of a Log Analytics workspace.'
    }
    {
      wrong: !isNetwork(networkAddresses, numbers(8, 24))
      says: 'networkAddresses must be an IPv4 range, at least a /24 and at most a /8, such as 10.71.0.0/24.'
    }
    {
      wrong: !empty(filter(callerIps, ip => !isNetwork(ip, numbers(0, 32)) && !isNetwork6(ip)))
      says: 'callerIps must be ranges in CIDR notation, such as 198.51.100.0/24, 198.51.100.7/32 or 2001:db8::/32.'
    }
    {
      wrong: !empty(filter(operatorIps, ip => !isAddress(ip)))
      says: 'operatorIps must be single IPv4 addresses, without a /, such as 198.51.100.7.'
    }
    {
      wrong: !empty(filter(alertEmails, address => !isEmail(address)))
      says: 'alertEmails must be email addresses.'
    }
    {
      wrong: !isCron(sweepSchedule) && !isSpan(sweepSchedule)
      says: 'sweepSchedule must have 5 or 6 fields, separated by one space, or be a time span such as 00:01:00.'
    }
  ],
  refusal => refusal.wrong
)
// Every name is made of it, so nothing is made if this fails. What only Azure knows, such as who deploys, must not be
// asked here: the compiler could then evaluate no name.
var prefix = empty(refusals) ? stem : fail(join(map(refusals, refusal => refusal.says), ' '))

resource gate 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-${prefix}-${token}'
  location: location
  tags: tags
}

module monitoring 'monitoring.bicep' = {
  params: {
    name: '${prefix}-${token}'
    location: location
    tags: tags
    principalId: gate.properties.principalId
    logDays: logDays
    logGigabytesADay: logGigabytesADay
  }
}

var vaultName = 'kv-${prefix}-${token}'
// By the vault's name, since its address is known only when it is made. vault.bicep makes the same names of secrets.
var channelReferences = toObject(
  items(channels),
  channel => channel.key,
  channel => '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${toLower(replace(channel.key, '_', '-'))})'
)
var workspaceId = empty(diagnosticsWorkspace) ? monitoring.outputs.workspaceId : diagnosticsWorkspace

module storage 'storage.bicep' = {
  params: {
    name: 'st${prefix}${token}'
    location: location
    tags: tags
    principalId: gate.properties.principalId
    tableName: tableName
    allowSharedKeys: allowSharedKeys
    redundancy: redundancy
    zoneRedundant: zoneRedundant
    readers: readers
    privateNetwork: privateNetwork
    publicPackage: publicPackage
    operatorIps: operatorIps
    diagnostics: diagnostics
    workspaceId: workspaceId
  }
}

module vault 'vault.bicep' = {
  params: {
    name: vaultName
    location: location
    tags: tags
    principalId: gate.properties.principalId
    keyWriter: empty(keyWriter) || isGuid(keyWriter)
      ? keyWriter
      : fail('keyWriter must be the object id, a GUID, of the account that deploys, or empty.')
    channels: channels
    purgeProtection: purgeProtection
    privateNetwork: privateNetwork && !publicVault
    operatorIps: operatorIps
    diagnostics: diagnostics
    workspaceId: workspaceId
  }
}

module communication 'communication.bicep' = if (mail == 'acs') {
  params: {
    name: '${prefix}-${token}'
    tags: tags
    principalId: gate.properties.principalId
    dataLocation: mailDataLocation
    domain: mailDomain
    domainVerified: mailDomainVerified
    diagnostics: diagnostics
    workspaceId: workspaceId
  }
}

module network 'network.bicep' = if (makesNetwork) {
  params: {
    name: 'vnet-${prefix}-${token}'
    location: location
    tags: tags
    addresses: networkAddresses
  }
}

module app 'app.bicep' = {
  params: {
    name: '${prefix}-${token}'
    location: location
    tags: tags
    identityId: gate.id
    identityClientId: gate.properties.clientId
    hostAccount: storage.outputs.hostAccount
    packageUrl: storage.outputs.packageUrl
    insightsConnectionString: monitoring.outputs.connectionString
    instanceMemoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    alwaysReady: alwaysReady
    zoneRedundant: zoneRedundant
    callerIps: callerIps
    operatorIps: operatorIps
    subnetId: makesNetwork ? network!.outputs.appSubnetId : appSubnetId
    isPrivate: privateNetwork && privateApp
    baseUrl: publicUrl
    entraClientId: usesEntra ? entraClientId : ''
    entraTenant: entraTenant
    asksAtSignIn: entraMaxAge > 0
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
        HO_POLICY: policy
        HO_ENTRA_MAX_AGE: entraMaxAge > 0 ? string(entraMaxAge) : ''
        HO_ENTRA_TENANT: usesEntra ? entraTenant : ''
        HO_AGENT_IDENTITY: agentIdentity
        HO_MAIL: mail
        HO_MAIL_FROM: mail == 'acs' && empty(mailFrom) ? communication!.outputs.sender : mailFrom
        HO_ACS_ENDPOINT: mail == 'acs' ? communication!.outputs.endpoint : ''
        HO_GRAPH_MAILBOX: mailbox
        HO_SMTP_URL: smtpUrl
        HO_SMTP_PASSWORD: smtpPassword ? '@Microsoft.KeyVault(SecretUri=${vault.outputs.uri}secrets/smtp-password)' : ''
        HO_SWEEP_SCHEDULE: sweepSchedule
        HO_TIME_ZONE: timeZone
        HO_REJECT_REASONS: rejectReasons
      },
      channelReferences,
      settings
    )
    diagnostics: diagnostics
    workspaceId: workspaceId
  }
}

module reports 'reports.bicep' = if (deliveryReports) {
  params: {
    name: '${prefix}-${token}'
    tags: tags
    communicationId: communication!.outputs.id
    appName: app.outputs.name
    baseUrl: app.outputs.baseUrl
  }
}

module alerts 'alerts.bicep' = if (!empty(alertEmails)) {
  params: {
    name: '${prefix}-${token}'
    location: location
    tags: tags
    insightsId: monitoring.outputs.insightsId
    emails: alertEmails
  }
}

module hostBlobs 'endpoint.bicep' = if (privateNetwork) {
  params: {
    name: 'pe-${prefix}-${token}-blob'
    location: location
    tags: tags
    target: storage.outputs.hostAccountId
    group: 'blob'
    zone: 'privatelink.blob.${environment().suffixes.storage}'
    zones: dnsZones
    networkId: makesNetwork ? network!.outputs.id : networkOf(endpointSubnetId)
    subnetId: makesNetwork ? network!.outputs.endpointSubnetId : endpointSubnetId
  }
}

module recordTables 'endpoint.bicep' = if (privateNetwork) {
  params: {
    name: 'pe-${prefix}-${token}-table'
    location: location
    tags: tags
    target: storage.outputs.recordsAccountId
    group: 'table'
    zone: 'privatelink.table.${environment().suffixes.storage}'
    zones: dnsZones
    networkId: makesNetwork ? network!.outputs.id : networkOf(endpointSubnetId)
    subnetId: makesNetwork ? network!.outputs.endpointSubnetId : endpointSubnetId
  }
}

module vaultSecrets 'endpoint.bicep' = if (privateNetwork) {
  params: {
    name: 'pe-${prefix}-${token}-vault'
    location: location
    tags: tags
    target: vault.outputs.id
    group: 'vault'
    zone: 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
    zones: dnsZones
    networkId: makesNetwork ? network!.outputs.id : networkOf(endpointSubnetId)
    subnetId: makesNetwork ? network!.outputs.endpointSubnetId : endpointSubnetId
  }
}

module appItself 'endpoint.bicep' = if (privateNetwork && privateApp) {
  params: {
    name: 'pe-${prefix}-${token}-app'
    location: location
    tags: tags
    target: app.outputs.id
    group: 'sites'
    zone: 'privatelink.azurewebsites.net'
    zones: dnsZones
    networkId: makesNetwork ? network!.outputs.id : networkOf(endpointSubnetId)
    subnetId: makesNetwork ? network!.outputs.endpointSubnetId : endpointSubnetId
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

@description('The role assignment that lets the account that deploys write the keys; `scripts/vault-keys` ends it. Empty: none.')
output AZURE_KEY_WRITER_ROLE string = vault.outputs.writerRole

@description('Whether the vault needs the password of the relay, which `scripts/vault-keys` takes from a file.')
output AZURE_RELAY_PASSWORD bool = smtpPassword

@description('The number of days after which new keys expire; 0: never.')
output AZURE_SECRET_DAYS int = secretDays
