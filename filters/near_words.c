/* Words that announce a value, in the languages of the European Union and of its neighbours in
 * trade: lower case, without accents, '|' between (tests hold it). How stars and spaces read:
 * near.h. */
#include "filters/near.h"

static const char phone[] =
	"*phone*|tel|tels|tel nr|tel no|*telephone*|telno|mobile*|mob|cell|cellular|call|"
	"calling|dial|dialed|ring|rang|text me|text us|text him|text her|texted|sms|"
	"whatsapp*|viber|telegram|imessage|fax*|*fax|telefax*|hotline|voicemail|landline|"
	"pager|gsm|msisdn|extension|switchboard|helpline|toll free|customer care|"
	"customer service|helpdesk|*telefon*|*handy|"
	"handynummer*|handynr|*rufnummer*|rufnr|durchwahl|mobil|mobilnummer*|mobilnr|"
	"mobiltelefon*|festnetz*|anruf*|anrufen|rufen|ruft|angerufen|ruckruf|"
	"zuruckrufen|erreichbar|erreichen|erreichst|ans telefon|tlf|tlfnr|telefoon*|"
	"*telefoon|mobiel*|bel|bellen|belt|gebeld|opbellen|terugbellen|gsm nummer|ringa|"
	"ringer|ringde|ringes|mobilen|mobilt|ringt|telephon*|appel|appelez|"
	"appeler|appelle|appelle moi|appellent|rappelez|rappeler|joindre|joignable|joignez|"
	"movil*|celular*|telf|tfno|tlfno|llame*|llama*|llamar*|telemovel|telemoveis|"
	"telem|ligue|ligar|ligue me|cellulare|cellulari|chiama*|chiami*|"
	"recapito|recapiti|fisso|utenza|suna|sunati|sunati ne|apelati|apeleaza|apel|"
	"mowbajl|cempel*|*cempel*|zadzwon*|dzwon*|zadzwonic|komork*|telefonu|"
	"stacjonarny|zavolej*|volejte|volat|volejte nam|mobilni*|volajte|zavolajte|volam*|"
	"nazov*|zovi|zovite|mobitel*|poklici*|klicite|*puhelin*|puh|soita*|soittaa|soitto*|"
	"helista*|mobiil*|zvan*|piezvan*|talr*|talrun*|skambin*|paskambin*|"
	"mobilus*|mobilaus|hivj*|hivhat*|hivas*|felhiv*|visszahiv*|τηλ*|κινητ*|καλεσ*|φαξ|καλει*|"
	"guthan|fon|glao*|fonu*|aramak|arayin*|arayabilir*|cep|cep tel*|numaram*|"
	"*телефон*|тел|моб|мобил*|мобиль*|мобіл*|звон*|*звон*|*дзвон*|обад*|гсм|факс*|"
	"набер*|сотов*|电话|電話|手机|手機|联系方式|聯絡電|座机|热线|致电|拨打|传真|傳真|携帯|ファックス|ファクス|連絡先|微信|内线|来电|"
	"打给|*전화*|*휴대폰*|*핸드폰*|*연락처*|*팩스*|फ़ोन*|फोन*|मोबाइल*|दूरभाष*|कॉल|*هاتف*|*جوال*|"
	"*موبايل*|*اتصل*|*اتصال*|*تلفون*|*تليفون*|*تلفن*|*واتساب*|*فاكس*|*טלפון*|*נייד*|"
	"*התקשר*|*פקס*|telepon*|telpon*|ponsel|no hp|hubungi|nomor hp|โทร*|sdt|"
	"dien thoai";

static const char contact[] =
	"contact*|kontakt*|reach me|reach us|reach him|reach her|reach|reached|contacto|"
	"contato|contatt*|yhteys*|επικοιν*|контакт*|kapcsolat*|kontaktai|kontakti|"
	"my number|your number|his number|her number|our number|their number|new number|"
	"private number|work number|emergency number|meine nummer|deine nummer|"
	"seine nummer|ihre nummer|unsere nummer|neue nummer|mijn nummer|zijn nummer|"
	"haar nummer|jouw nummer|ons nummer|mon numero|son numero|ton numero|votre numero|"
	"notre numero|mi numero|su numero|tu numero|nuestro numero|o meu numero|meu numero|"
	"seu numero|mio numero|suo numero|tuo numero|nostro numero|mitt nummer|mit nummer|"
	"min nummer|ditt nummer|dit nummer|hans nummer|hendes nummer|numeroni|numerosi|"
	"numeronsa|moj numer|twoj numer|jego numer|jej numer|moje cislo|jeho cislo|"
	"jeji cislo|moj broj|moja stevilka|numarul meu|szamom|telefonszam*|mano numeris|"
	"mans numurs|minu number|мои номер|номерам|номерът ми|το νουμερο μου|αριθμοσ μου|"
	"我的号码|联系|聯絡|聯繫|मेरा नंबर";

static const char number[] =
	"number|nummer|*nummern|nr|num|numero|numeros|numeri|numer|cislo|broj|"
	"stevilka|numar|numarul|szam|szama|numeris|numurs|uimhir|numru|no|called|calls|"
	"callback|portable|fixe|kom|cel|zap|номер|αριθμοσ|号码|號碼|番号|*번호*|नंबर|*رقم*|*מספר*";

/* Numbers of other things. */
static const char other[] =
	"order*|invoice*|part|parts|part no|part number|serial*|lot|batch*|ticket*|case|"
	"case no|ref|reference*|tracking*|shipment*|parcel*|sku|item|article*|product*|"
	"model|build|id|ids|orderid|userid|customerid|caseid|itemid|uuid|guid|isbn*|issn|"
	"ismn|doi|ean|upc|gtin|asin|pmid|arxiv|po|purchase*|account*|acct|iban*|bic|swift|"
	"routing|card|cards|creditcard*|passcode|pin|code|codes|meeting*|zoom|webinar|"
	"conference|page|pages|row|rows|col|column|step|steps|seed|port|pid|timestamp*|"
	"epoch*|date|dates|datum|amount*|price*|total*|sum|usd|eur|gbp|chf|cost*|lottery|"
	"lotto|coordinates|coords|lat|lon|lng|latitude|longitude|gps|section|"
	"chapter|policy*|contract*|claim*|receipt*|transaction*|txn|booking*|reservation*|"
	"flight|voucher*|coupon*|barcode*|counter|index|size|bytes|hash*|commit*|checksum|"
	"revision|version*|release*|kernel|firmware|meter reading|registration*|licence*|"
	"license*|patent*|passport*|ssn|social security*|tax*|vat*|ein|npi|nhs|"
	"customer no*|customer num*|customer id|member*|membership*|student*|employee*|"
	"room|gate|seat|bus|train|container*|archive*|asset*|locker*|loss|temperature*|"
	"voltage|range*|locus|opus|bestell*|auftrag*|*auftrags*|rechnung*|*rechnungs*|"
	"kunden*|serien*|teile*|teil|vorgang*|aktenzeichen|az|sendung*|sendungs*|artikel*|"
	"vertrag*|konto*|beleg*|buchung*|steuer*|*id nr|idnr|matrikel*|personalnummer*|"
	"personalnr|ausweis*|commande*|facture*|serie*|colis|dossier*|siret|siren|pedido*|"
	"factura*|albaran|expediente*|envio*|cuenta*|encomenda*|fatura*|conta|ordine*|"
	"fattura*|spedizione*|pratica*|conto|partita*|codice*|bestelling*|bestelnummer*|"
	"factuur*|klant*|rekening*|zamowien*|faktur*|paczk*|przesyl*|konta|objednav*|"
	"zasilk*|zasielk*|uct*|narudzb*|racun*|narocil*|bestallning*|ordre*|ordernummer*|"
	"tilaus*|lasku*|tellimus*|arve*|pasutijum*|rekin*|uzsakym*|saskait*|rendeles*|"
	"szamla*|comand*|comanda*|siparis*|fatura|pesanan|faktur|παραγγελι*|τιμολογι*|"
	"заказ*|счет*|артикул*|поръчк*|фактур*|замовл*|开奖|彩票|订单|訂單|发票|單號|单号|编号|編號|注文|伝票|会員|"
	"catalog*|confirmation*|engine number|inventory*|job number|machine number|"
	"stock number|warranty*|inventaire|suivi|seguimiento|rastreio|seryjn*|katalogow*|"
	"partii|referencyjn*|sprawy|umow*|seriov*|vyrobn*|baliku|dilu|zbozi|sarze|dielu|gyari|"
	"hivatkozasi|nyomkovetesi|awb|comenzii|posiljk*|predmet*|serije|serijsk*|lepingu|"
	"saadetise|liguma|partijas|serijas|sutijuma|partijos|serijos|siuntos|sutarties|ordni|"
	"serje|ordaithe|дело|договор*|пратк*|сериен|част|αναφορασ|αποστολησ|σειριακ*|"
	"卡号|身份证|*주문*|*송장*|ऑर्डर*|*طلب*|*فاتورة*|*הזמנ*|*חשבונ*";

static const char host[] =
	"ip|ips|ipv4|ipv6|*ip addr*|*ipaddr*|ip*adresse|*ip adress*|inet|inet6|client*|*host*|"
	"addr|addrs|address*|*address|*addr|login*|logged|ssh*|sshd|ping*|server*|remote*|src|"
	"dst|peer*|nameserver*|dns|resolver*|gateway*|router*|proxy*|forwarded*|"
	"x forwarded for|x real ip|connect*|connection*|request*|visitor*|attacker*|ban|banned|"
	"denied|whitelist*|blacklist*|allowlist*|blocklist*|firewall*|iptables|traffic|"
	"traceroute|whois|nmap|curl|network*|subnet*|listen*|bind*|endpoint*|vpn|mac*|bssid|"
	"ether*|hwaddr|hardware|physical|eui*|wlan|wifi|nic|arp|serveur*|servidor*|rechner*|"
	"anmeldung*|zugriff*|connexion*|conexion*|osoite*|direccion ip|indirizz*|endereco*|"
	"adres ip|adresa ip|адрес*|сервер*|хост*|διευθυν*|地址|位址|アドレス|*주소*|登录|"
	"*عنوان*|*כתובת*";

static const char from[] =
	"from|to|on|visit*|open|reach*|hit|hits|target*|attack*|ddos|botnet|tunnel*|smtp|mx|relay*|"
	"ptr|rdns|hosted|cdn|instance*|vm|vms|machine*|droplet*|cluster*|pod|pods|service*|"
	"source|destination|dest|user|users|node|nodes|via|received|at|seen|by|scan*|"
	"block*|allow*|deny*|route*|von|de|desde|da|van|fra|fran|adresse*|adresa|adres|cim|"
	"cime|от|с|来自|から";

static const char version[] =
	"version*|*version|ver|kernel*|release*|build*|firmware*|driver*|update*|"
	"upgrade*|downgrade*|patch*|section*|sec|chapter*|clause*|article*|paragraph*|"
	"schema*|oid|oids|asn1|revision*|rev|edition*|package*|pkg|lib*|install*|chrome*|"
	"chromium|firefox|safari|edge|windows|linux|ubuntu|debian|macos|ios|android|java|"
	"jdk|jre|dotnet|office|sdk|api|runtime|plugin*|module*|assembly*|dll|exe|tag|tags|"
	"tagged|branch|bump*|semver|changelog|requires|compatible|incompatible|bios|app|"
	"kapitel|abschnitt|ziffer|fassung|chapitre|paragraphe|seccion|capitulo|sezione|"
	"capitolo|hoofdstuk|wersj*|rozdzial|verze*|verzi*|versio*|kapittel|avsnitt|luku|"
	"верси*|раздел*|εκδοσ*|版本|版|バージョン|*버전*";

static const char birth[] =
	"born|birth|*birthdate*|birth date|birthday*|*date of birth*|dob|d o b|b day|bday|"
	"birthdate|*geboren*|geb|*geburtsdatum*|*geburtstag*|geburts*|geborene|ne le|"
	"nee le|ne en|naissance|date naissance|date de naissance|anniversaire|nacid*|nacio|"
	"naci|nacimiento|fecha nac*|f nac|cumpleanos|nascid*|nascimento|nasceu|data nasc*|"
	"dn|aniversario|nato|nata|nati|nascita|data nascita|compleanno|gebortedatum|"
	"geboortedatum|geboorte*|verjaardag|fodt|fodselsdato|fodselsdag|fodsels*|fodd|"
	"fodelsedatum|fodelsedag|fodelse*|syntynyt|syntyma*|s aika|synt|urodz*|ur|urodzin*|"
	"data ur|narozen*|nar|datum narozeni|narodeni*|naroden*|roden*|rodena|roden|rojen*|"
	"datum rodenja|rodjen*|rodenja|szul|szuletes*|szuletett|nascut*|nasterii|nasterea|"
	"data nasterii|sundinud|sunniaeg|sunnikuupaev|sund|dzimis*|dzimsanas|dz|gim|gimimo|"
	"gimes|gimusi|twieled*|twelid*|rugadh|breith*|data tat twelid|dogum*|dogdu|γεννη*|"
	"ημ γεν*|родил*|рожден*|д р|род|роден*|ражда*|народж*|народи*|生年月日|出生日期|出生|生日|誕生日|生まれ|"
	"*생년월일*|*생일*|*출생*|जन्म*|*الميلاد*|*مولود*|*ولد*|*לידה*|נולד*|lahir|tanggal lahir|"
	"tgl lahir";

static const char plate[] =
	"plate*|*plate|*plates|number plate|license plate*|licence plate*|vehicle reg*|car reg*|"
	"registration mark|reg|reg no|vrm|vrn|*kennzeichen*|kfz|"
	"nummernschild*|immatricul*|plaque*|targa|targhe|targato|matricula*|placa|placas|"
	"kenteken*|nummerplaat*|nummerplade*|nummerplate*|registreringsnummer*|reg nr|regnr|"
	"registreringsskylt*|skylt|rekisteri*|rekkari|rek nro|rejestrac*|tablic*|nr rej|spz|ecv|"
	"registarsk*|registrsk*|rendszam*|frsz|inmatricul*|numarimark*|autonumb*|numura zime*|"
	"valsts numur*|valstybin*|numerio zenkl*|clarplata|uimhirphlata|pjanca|plakka|plaka*|"
	"πινακιδ*|κυκλοφορ*|регистрац*|госномер*|номернои знак|номернои|гос номер|车牌*|車牌*|"
	"ナンバープレート|*차량번호*|*번호판*";

static const char wallet[] =
	"wallet*|*wallet|address*|adresse*|addr|btc|bitcoin*|eth|ethereum|ether|erc20|ltc|"
	"litecoin*|bch|bitcoincash|xmr|monero*|xrp|ripple|trx|tron|trc20|usdt|tether|usdc|"
	"sol|solana|crypto*|*coin*|doge|dogecoin|deposit*|donate*|donation*|payout*|send|"
	"metamask|phantom|ledger|defi|nft|portemonnaie|brieftasche|spende*|einzahl*|"
	"portefeuille|monedero|billetera|portafoglio|carteira|portfel|penezenka|direccion|"
	"indirizzo|endereco|кошел*|адрес*|钱包|地址|ウォレット|*지갑*";

static const char home[] =
	"address*|*address|addr|lives|live|living|lived|resides|residing|resident|"
	"residence|home|ship|shipping|deliver*|delivery|mail to|post to|send to|located|"
	"street|postal|moved to|house|flat|apartment|office at|anschrift*|*adresse*|"
	"*adressen|wohn*|wohnhaft|lieferadresse|liefern|zieht|domicile*|domicilie*|habit*|"
	"demeurant|reside*|livrer|livraison|domicili*|direccion*|vive|vivo|calle|envio|"
	"enviar|indirizz*|abita*|residente|via|spedire|morada*|mora|reside|endereco*|"
	"adres*|woont|woonachtig|bezorg*|bor|bopal*|bosatt*|adress*|osoite*|asuu|mieszka*|"
	"zamieszka*|bydlist*|bydli|bytom|byva*|adresa*|stanuje|prebiva*|naslov*|lakcim*|"
	"lakik|locuieste|domiciliat*|elab|elukoht|aadress*|dzivo*|gyvena*|adresas|seoladh*|"
	"ina chonai|joqghod*|indirizz|διευθυν*|κατοικ*|адрес*|прожив*|живе*|地址|住址|住所|*주소*";

const char *const filter_near_words[NEAR_LISTS] = {
	[NEAR_PHONE] = phone,     [NEAR_CONTACT] = contact, [NEAR_NUMBER] = number,
	[NEAR_OTHER] = other,     [NEAR_HOST] = host,       [NEAR_FROM] = from,
	[NEAR_VERSION] = version, [NEAR_BIRTH] = birth,     [NEAR_PLATE] = plate,
	[NEAR_WALLET] = wallet,   [NEAR_HOME] = home,
};
