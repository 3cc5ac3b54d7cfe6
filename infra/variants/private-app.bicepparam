// The app too, in a network that exists, with DNS zones that exist.
using '../main.bicep'

param allowedApprovers = 'alice@example.com'
param privateNetwork = true
param privateApp = true
param appSubnetId = '/subscriptions/00000000-0000-0000-0000-000000000009/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/gate'
param endpointSubnetId = '/subscriptions/00000000-0000-0000-0000-000000000009/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/endpoints'
param dnsZones = '/subscriptions/00000000-0000-0000-0000-000000000009/resourceGroups/rg-dns'
