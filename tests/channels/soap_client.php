<?php
// A foreign SOAP stack in one process: reads calls as lines of JSON, answers each with one line.
// {"wsdl", "key", "version": 1|2, "operation", "arguments"} -> {"answer"} or {"fault": {"code", "string", "problems"}}

ini_set('soap.wsdl_cache_enabled', '0');
$clients = [];
while (($line = fgets(STDIN)) !== false) {
    $call = json_decode($line);
    $version = $call->version === 2 ? SOAP_1_2 : SOAP_1_1;
    if (!isset($clients[$version])) {
        $clients[$version] = new SoapClient($call->wsdl, [
            'soap_version' => $version, 'trace' => true, 'exceptions' => true, 'features' => SOAP_SINGLE_ELEMENT_ARRAYS, 'keep_alive' => false,
        ]);
        // PHP takes the first port of the WSDL whatever the version; the address of both is the same.
    }
    $client = $clients[$version];
    $client->__setSoapHeaders(new SoapHeader('urn:metergate:soap:1', 'ApiKey', $call->key));
    try {
        $said = ['answer' => $client->__soapCall($call->operation, [$call->arguments])];
    } catch (SoapFault $fault) {
        $problems = isset($fault->detail->Problems->Problem) ? $fault->detail->Problems->Problem : null;
        $said = ['fault' => ['code' => $fault->faultcode, 'string' => $fault->getMessage(), 'problems' => $problems]];
    }
    $said['sent'] = $client->__getLastRequestHeaders();
    $said['xml'] = $client->__getLastRequest();
    echo json_encode($said, JSON_UNESCAPED_UNICODE), "\n";
}
