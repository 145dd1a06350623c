/* Words that name another thing than a person's number, and the fillers that may stand between such
 * a word and the number. One list for all kinds; each word is written as those of a kind are
 * (kind.h), a comma between two. */
#include "filters/number_read.h"

const char *const filter_vetoes[] = {
	/* English */
	"customer number,customer no,customer id,client number,member number,"
	"order,purchase order,sales order,work order,po,invoice,bill,receipt,serial,sn,s/n,"
	"lot,batch,tracking,shipment,consignment,parcel,waybill,awb,container,ticket,issue,"
	"bug,incident,part,pn,p/n,model,sku,item,article,product,asset,version,release,"
	"revision,rev,build,commit,row,line,page,section,chapter,figure,table,step,epoch,"
	"iteration,case,claim,docket,file,reference,ref,meeting,conference,webinar,session,"
	"transaction,trace,span,request,correlation,timestamp,counter,offset,position,index,"
	"seq,sequence,sample,event,job,task,pid,process,thread,record,node,object,message,"
	"barcode,ean,upc,gtin,isbn,issn,imei,imsi,iccid,mac,uuid,guid,hash,checksum,firmware,"
	"kernel,coupon,voucher,booking,reservation,flight,quote,quotation,contract,project,"
	"machine,device,engine,chassis,vin,locker,port,total,amount,sum,balance,price,"
	"quantity,qty,distance,population",
	/* German */
	"versand*,kundennummer,kundennr,mitgliedsnummer,personalnummer,"
	"auftrag*,bestell*,rechnung*,beleg*,lieferschein*,serien*,charge,chargen*,sendung*,"
	"sendungsverfolgung*,paket*,artikel*,produkt*,modell*,typ,teile*,material*,vorgang*,"
	"aktenzeichen,fallnummer,ticket*,buchung*,zeile*,seite*,schritt*,fassung,"
	"ger\u00e4te*,fahrgestell*,gutschein*,angebot*,vertrag*,betrag*,summe,menge,"
	"referenz*,inventar*,transaktion*,zeitstempel,besprechung*",
	/* French */
	"commande*,facture*,re\u00e7u,s\u00e9rie,n\u00b0 de s\u00e9rie,lot,suivi,colis,"
	"exp\u00e9dition,pi\u00e8ce*,mod\u00e8le,r\u00e9f\u00e9rence,article,produit,dossier,"
	"devis,contrat,r\u00e9servation,billet,ligne,\u00e9tape,r\u00e9union,montant,"
	"quantit\u00e9,horodatage,bon de commande",
	/* Spanish */
	"pedido*,factura*,recibo,serie,lote,seguimiento,env\u00edo,paquete,pieza,modelo,"
	"referencia,art\u00edculo,producto,expediente,presupuesto,contrato,reserva,billete,"
	"fila,paso,reuni\u00f3n,importe,cantidad,versi\u00f3n,orden,albar\u00e1n,incidencia",
	/* Italian */
	"ordine,ordini,fattura*,ricevuta,lotto,spedizione,pacco,pezzo,modello,riferimento,"
	"articolo,prodotto,pratica,preventivo,contratto,prenotazione,biglietto,riga,passo,"
	"riunione,importo,quantit\u00e0,versione,tracciamento",
	/* Portuguese */
	"encomenda*,fatura*,s\u00e9rie,rastreio,rastreamento,remessa,pacote,pe\u00e7a,"
	"refer\u00eancia,artigo,produto,processo,or\u00e7amento,bilhete,linha,etapa,"
	"reuni\u00e3o,montante,quantidade,vers\u00e3o,ordem",
	/* Dutch */
	"bestelling*,bestelnummer,factuur*,serienummer,partij*,zending*,onderdeel*,artikel*,"
	"dossier*,zaak,zaaknummer,offerte*,contract*,boeking*,reservering*,regel,stap,"
	"vergadering*,bedrag,aantal,versie,ordernummer,kenmerk",
	/* Polish */
	"seryjn*,numer klienta,"
	"zam\u00f3wieni*,faktur*,paragon*,seria,serii,partia,partii,partie,przesy\u0142k*,"
	"paczk*,cz\u0119\u015b\u0107,cz\u0119\u015bci,artyku\u0142*,produkt*,spraw*,ofert*,"
	"umow*,rezerwacj*,bilet*,wiersz*,krok*,spotkani*,kwot*,ilo\u015b\u0107,wersj*,"
	"zg\u0142oszeni*,sygnatur*",
	/* Swedish, Danish, Norwegian */
	"order*,best\u00e4llning*,faktura*,kvitto*,serienummer*,parti,sp\u00e5rning*,"
	"f\u00f6rs\u00e4ndelse*,kolli*,modell*,artikel*,\u00e4rende*,\u00e4rendenummer*,"
	"offert*,avtal*,bokning*,biljett*,rad,steg,m\u00f6te*,belopp,antal,ordre*,"
	"bestilling*,forsendelse*,sag,sagsnummer,varenummer*,bel\u00f8b,mødenummer",
	/* Finnish, Hungarian, Czech, Slovak, Romanian */
	"tilaus*,lasku*,sarjanumero*,er\u00e4numero,l\u00e4hetys*,tuote*,varaus*,"
	"rendel\u00e9s*,sz\u00e1mla*,sorozatsz\u00e1m*,csomag*,term\u00e9k*,foglal\u00e1s*,"
	"objedn\u00e1v*,faktur*,s\u00e9riov*,\u0161ar\u017e*,z\u00e1silk*,rezervac*,comand*,"
	"factur*,colet*,rezervar*",
	/* More of the member states' languages, without accents: both sides are folded */
	"losnummer*,ersatzteil*,lieferung*,bauteil*,kundenauftrag*,ticketnummer,"
	"vyrobn*,cislo dilu,cislo dielu,zasielk*,baliku,balik,tovar*,zbozi,smlouv*,zmluv*,"
	"narudzb*,racun*,serijsk*,posiljk*,isporuk*,artikl*,ponud*,ugovor*,rezervacij*,"
	"verzij*,narocil*,serij*,pogodb*,izdelk*,"
	"tellimus*,arve*,seerianumb*,partii*,saadetis*,pakk,paki,mudel*,toode,toote*,leping*,"
	"broneering*,versioon*,viitenumber,"
	"pasutijum*,rekin*,serijas,partij*,sutijum*,preces,precu,ligum*,rezervacij*,versij*,"
	"uzsakym*,saskait*,serijos,siunt*,gamini*,preke*,sutart*,"
	"gyari szam*,cikkszam*,szallit*,alkatresz*,sorszam*,iktatoszam*,hivatkozas*,"
	"lot,lotul,serie,seriei,produsul*,piesa,piesei,contract*,rezervare*,"
	"viitenumero,tuotenumero,kuitti*,sopimus*,versio,"
	"varenr,ordrenr,fakturanr,artikelnr,serienr,bestellnr,rechnungsnr,auftragsnr,"
	"numeru ta l ordni,ordni,fattura,ordu,sonrasc,"
	"σειριακ*,μοντελ*,δεμα,δεματος,κρατηση*,συμβαση*,αναφορα*,"
	"пратк*,резервац*,артикул*,част,изделие,продукт*,"
	"asset tag,catalog*,confirmation,delivery note,inventory,licence plate holder,"
	"package,policy form,stock,voucher code,warranty,"
	"zahlernummer,bon de livraison,code barres,numero d'inventaire,codigo de barras,"
	"orden de compra,bolla,codice a barre,matricola,rif,"
	"batchnummer*,bonnummer,lotnummer,pakbon,pakket*,indeks,kod kreskowy,seryjn*,"
	"numer katalogowy,numer referencyjny,"
	"artnr,partinummer*,referensnummer*,reservdel*,bookingnummer*,kontraktnummer*,"
	"pakkenummer*,referencenummer*,reservedel*,sporingsnummer*,tilbudsnummer*,"
	"malli,mallinumero,osanumero,seurantakoodi,tapausnumero,tarjousnumero,"
	"tarjous,"
	"dil,jizdenk*,nabidk*,reklamac*,spis,spisu,vyrobek,vyrobku,uctenk*,diel,"
	"ponuk*,vyrobok,"
	"ajanlat*,jegy*,nyomkovetes*,szerzodes*,tetelszam*,tipus,vonalkod*,ugyszam*,"
	"articol*,bon,bonul,cod de bare,cod produs,dosar*,numarul comenzii,comenzii,"
	"referinta,"
	"баркод*,касова бележка,оферт*,референц*,"
	"ανταλλακτικ*,αποδειξη*,εισιτηρι*,κωδικος προιοντος,προιον*,προσφορα*,υποθεση*,"
	"predmet*,proizvod*,referenc*,sifra,"
	"izdelek,sklic,vozovnic*,zadev*,"
	"artikkel*,pakkumi*,pilet*,varuosa*,"
	"artikuls,atsauce,detala,lieta,paka,piedavajum*,bilete,"
	"artikulas,biliet*,byla,bylos,detale,gaminys,nuoroda,pasiulym*,"
	"kuntratt,lott,numru tas serje,pakkett,prodott,baisc,beartan,samhail,"
	"sraithuimhir,tagairt,uimhir ordaithe,"
	"type,replaces,product code,item code,article code,order code,batch code,stock code",
	/* Flights, trains, meetings, numbers of customers, and what the lists above lack */
	"versionsnummer*,docket,rma,referentie*,referens,reference*,prece,"
	"code de produit,gift card,train,meter,gauge,return number,account manager,"
	"flug,flugnummer*,zug,zugnummer,zählerstand,zähler*,reklamation*,schadennummer*,"
	"vol,numéro de client,numéro client,vuelo,tren,número de cliente,volo,treno,"
	"numero cliente,voo,comboio,número do cliente,guia,"
	"vlucht,vluchtnummer*,treinnummer,klantnummer*,klantnr,lot nr,numer lotu,"
	"flyg,flygnummer,kundnummer*,kundnr,avgång,fly,flynummer,tilbud*,møde,møte,"
	"kundenummer*,kundenr,billet,billett*,referanse*,saksnummer*,sak,"
	"tilauk*,lento*,lippu*,tarjous*,kokous*,tapaus*,viite*,asiakasnumero*,"
	"asiakasnro,vuoronumero,"
	"járat*,megbeszélés*,ügyfélszám*,értekezlet*,"
	"let,letu,schůzk*,schůze,stretnuti*,zákaznick*,listok,listku,"
	"sestan*,številka stranke,broj leta,sastan*,broj kupca,"
	"zbor,zborul*,sedint*,intalnir*,număr client,cod client,oferta*,"
	"полет*,срещ*,колет*,сериен*,клиентск*,"
	"πτηση*,παραγγελια σασ,συναντηση*,κωδικοσ πελατη,αριθμοσ πελατη,"
	"lend,lennu*,koosolek*,juhtum*,viide,kliendinumber,"
	"reiss,reisa,sanaksm*,klienta numurs,lidojum*,"
	"skryd*,susitikim*,kliento numeris,reisas,titjira*,biljett*,laqgħa,mudell*,eitilt,"
	"рейс*,поезд*,номер клиента,код клиента,код товара,товар*,бронь,брони,"
	"замовлен*,рахун*,серийн*,серійн*,квит*,посилк*,зустріч*,справ*,партія,партії,"
	"договір,накладн*,номер клієнта,"
	"uçuş*,müşteri no,müşteri numarası,tren,referans*,"
	"航班,车次,車次,车票,機票,机票,预订,預訂,订位,参考编号,客户编号,客戶編號,会员号,产品编号,"
	"便名,便番号,列車,会員番号,顧客番号,お客様番号,製品,"
	"항공편,열차,사건,고객번호,회원번호,제품,제조번호,참조,"
	"الرحلة,رحلة,الطراز,طراز,المنتج,منتج,رقم العميل,طلبك,المعاملة,"
	"चालान*,उड़ान,ट्रेन,मीटिंग,अनुबंध,उत्पाद,ग्राहक संख्या,"
	"penerbangan,kereta,nomor pelanggan,produk*,kontrak*,"
	"chuyến bay,số sê ri,sản phẩm,hợp đồng,mã khách hàng,"
	"ใบแจ้งหนี้,เที่ยวบิน,ซีเรียล,สัญญา,สินค้า,"
	"הזמנה,הזמנת,חשבונית,סידורי,טיסה,מעקב,מספר לקוח,משלוח,מוצר,"
	"سفارش,سفارش شما,فاکتور,سریال,پرواز,پیگیری,محصول,قرارداد",
	/* Greek, Bulgarian, Russian */
	"\u03c0\u03b1\u03c1\u03b1\u03b3\u03b3\u03b5\u03bb\u03af*,"
	"\u03c4\u03b9\u03bc\u03bf\u03bb\u03cc\u03b3\u03b9*,"
	"\u03c0\u03b1\u03c1\u03c4\u03af\u03b4*,\u03b1\u03c0\u03bf\u03c3\u03c4\u03bf\u03bb*,"
	"\u043f\u043e\u0440\u044a\u0447\u043a*,\u0444\u0430\u043a\u0442\u0443\u0440*,"
	"\u0437\u0430\u043a\u0430\u0437*,\u0441\u0447\u0435\u0442*,\u0441\u0447\u0451\u0442*,"
	"\u043d\u0430\u043a\u043b\u0430\u0434\u043d*,\u0441\u0435\u0440\u0438*,"
	"\u043f\u0430\u0440\u0442\u0438*,\u043f\u043e\u0441\u044b\u043b\u043a*,"
	"\u043e\u0442\u043f\u0440\u0430\u0432\u043b\u0435\u043d\u0438*,"
	"\u0442\u0440\u0435\u043a*,\u0430\u0440\u0442\u0438\u043a\u0443\u043b*,"
	"\u043c\u043e\u0434\u0435\u043b*,\u0434\u0435\u0442\u0430\u043b*,"
	"\u0432\u0435\u0440\u0441\u0438*,\u0437\u0430\u044f\u0432\u043a*,"
	"\u0434\u0435\u043b\u043e,\u0434\u0435\u043b\u0430,"
	"\u0434\u043e\u0433\u043e\u0432\u043e\u0440*,\u0431\u0438\u043b\u0435\u0442*,"
	"\u0441\u0442\u0440\u043e\u043a*,\u0448\u0430\u0433*,\u0431\u0440\u043e\u043d*,"
	"\u0441\u0443\u043c\u043c*,\u0432\u0441\u0442\u0440\u0435\u0447*",
	/* Turkish */
	"sipari\u015f*,fatura*,seri,seri no,parti,kargo*,takip*,par\u00e7a*,model*,"
	"\u00fcr\u00fcn*,dosya*,talep*,teklif*,s\u00f6zle\u015fme*,rezervasyon*,bilet*,"
	"sat\u0131r*,ad\u0131m*,toplant\u0131*,tutar*,s\u00fcr\u00fcm*",
	/* Chinese */
	"\u8ba2\u5355,\u8a02\u55ae,\u53d1\u7968,\u767c\u7968,\u6536\u636e,\u5355\u53f7,"
	"\u55ae\u865f,\u8fd0\u5355,\u5feb\u9012,\u7269\u6d41,\u5e8f\u5217,\u6279\u53f7,"
	"\u6279\u6b21,\u578b\u53f7,\u96f6\u4ef6,\u8d27\u53f7,\u7248\u672c,\u5de5\u5355,"
	"\u6848\u4ef6,\u5408\u540c,\u4f1a\u8bae,\u6d41\u6c34,\u4ea4\u6613,\u884c\u53f7,"
	"\u91d1\u989d,\u6570\u91cf,\u65f6\u95f4\u6233,\u5546\u54c1",
	/* Japanese */
	"\u6ce8\u6587,\u767a\u6ce8,\u8acb\u6c42\u66f8,\u4f1d\u7968,\u8ffd\u8de1,\u914d\u9001,"
	"\u8377\u7269,\u30b7\u30ea\u30a2\u30eb,\u88fd\u9020,\u30ed\u30c3\u30c8,\u578b\u756a,"
	"\u54c1\u756a,\u90e8\u54c1,\u5546\u54c1,\u30d0\u30fc\u30b8\u30e7\u30f3,\u6848\u4ef6,"
	"\u4e88\u7d04,\u5951\u7d04,\u4f1a\u8b70,\u53d6\u5f15,\u53d7\u6ce8,\u91d1\u984d",
	/* Korean */
	"\uc8fc\ubb38,\uc1a1\uc7a5,\uc6b4\uc1a1\uc7a5,\ubc30\uc1a1,\ud0dd\ubc30,\uc77c\ub828,"
	"\uc2dc\ub9ac\uc5bc,\ub85c\ud2b8,\ubaa8\ub378,\ubd80\ud488,\uc0c1\ud488,\ubc84\uc804,"
	"\ud2f0\ucf13,\uc608\uc57d,\uacc4\uc57d,\ud68c\uc758,\uac70\ub798,\uae08\uc561,"
	"\uc601\uc218\uc99d,\uc138\uae08\uacc4\uc0b0\uc11c",
	/* Arabic */
	"\u0627\u0644\u0637\u0644\u0628,\u0637\u0644\u0628,"
	"\u0627\u0644\u0641\u0627\u062a\u0648\u0631\u0629,"
	"\u0641\u0627\u062a\u0648\u0631\u0629,\u062a\u0633\u0644\u0633\u0644\u064a,"
	"\u0627\u0644\u0634\u062d\u0646\u0629,\u0634\u062d\u0646\u0629,"
	"\u062a\u062a\u0628\u0639,\u0627\u0644\u062a\u062a\u0628\u0639,"
	"\u0627\u0644\u062f\u0641\u0639\u0629,\u0627\u0644\u0642\u0637\u0639\u0629,"
	"\u0627\u0644\u0645\u0648\u062f\u064a\u0644,"
	"\u0627\u0644\u0625\u0635\u062f\u0627\u0631,"
	"\u0627\u0644\u062a\u0630\u0643\u0631\u0629,\u0627\u0644\u062d\u062c\u0632,"
	"\u0627\u0644\u0639\u0642\u062f,\u0627\u0644\u0642\u0636\u064a\u0629,"
	"\u0627\u0644\u0645\u0631\u062c\u0639,"
	"\u0627\u0644\u0627\u062c\u062a\u0645\u0627\u0639,"
	"\u0627\u0644\u0645\u0628\u0644\u063a",
	/* Hindi */
	"\u0911\u0930\u094d\u0921\u0930,\u0906\u0926\u0947\u0936,"
	"\u091a\u093e\u0932\u093e\u0928,\u092c\u093f\u0932,\u0930\u0938\u0940\u0926,"
	"\u0938\u0940\u0930\u093f\u092f\u0932,\u092c\u0948\u091a,\u0932\u0949\u091f,"
	"\u091f\u094d\u0930\u0948\u0915\u093f\u0902\u0917,"
	"\u092a\u093e\u0930\u094d\u0938\u0932,\u092e\u0949\u0921\u0932,"
	"\u0935\u0930\u094d\u091c\u0928,\u091f\u093f\u0915\u091f,"
	"\u092c\u0941\u0915\u093f\u0902\u0917,\u092e\u093e\u092e\u0932\u093e,"
	"\u0938\u0902\u0926\u0930\u094d\u092d,\u092c\u0948\u0920\u0915,"
	"\u0930\u093e\u0936\u093f",
	/* Vietnamese, Thai, Indonesian */
	"\u0111\u01a1n h\u00e0ng,h\u00f3a \u0111\u01a1n,v\u1eadn \u0111\u01a1n,"
	"\u0e04\u0e33\u0e2a\u0e31\u0e48\u0e07\u0e0b\u0e37\u0e49\u0e2d,"
	"\u0e43\u0e1a\u0e41\u0e08\u0e49\u0e07\u0e2b\u0e19\u0e35\u0e49,"
	"\u0e43\u0e1a\u0e40\u0e2a\u0e23\u0e47\u0e08,pesanan,faktur,nomor resi,nomor seri",
	NULL,
};

const char *const filter_fillers[] = {
	/* what says "number" */
	"n o,c,nomor,s\u1ed1,m\u00e3,\u0e2b\u0e21\u0e32\u0e22\u0e40\u0e25\u0e02,"
	"no,nr,n,num,number,id,ids,nummer,kennung,num\u00e9ro,n\u00famero,"
	"numero,n\u00b0,n\u00ba,c\u00f3digo,codice,codigo,numer,numeru,nummeret,sz\u00e1m,"
	"sz\u00e1ma,\u010d\u00edslo,\u010d\u00edslem,num\u0103r,num\u0103rul,numara,"
	"numaras\u0131,numaral\u0131,kodu,\u03b1\u03c1\u03b9\u03b8\u03bc\u03cc\u03c2,"
	"\u043d\u043e\u043c\u0435\u0440,\u043d\u043e\u043c\u0435\u0440\u0430,\u2116,"
	"\u043a\u043e\u0434,\u7f16\u53f7,\u7de8\u865f,\u53f7\u7801,\u865f\u78bc,\u53f7,"
	"\u865f,\u756a\u53f7,\u30b3\u30fc\u30c9,\ubc88\ud638,\ucf54\ub4dc,\u0631\u0642\u0645,"
	"\u0938\u0902\u0916\u094d\u092f\u093e,\u0928\u0902\u092c\u0930,"
	"\u0928\u092e\u094d\u092c\u0930,\u0915\u094d\u0930\u092e\u093e\u0902\u0915",
	"numurs,numura,numeris,numerio,kods,kodas,broj,broja,stevilka,stevilke,numbri,"
	"c,br,st,n o,αρ,αριθ,αριθμο,id,आईडी,شماره,מספר,معرف,رمز,kode,so,ma,编码,代码,代號,dvs,"
	"numeron,numeroa,kodo,κωδικοσ",
	/* what links it to the number */
	"is,was,are,with,under,the,of,new,ist,lautet,war,mit,unter,est,sous,es,\u00e8,\u00e9,"
	"con,com,met,jest,\u00e4r,er,on,\u662f,\u4e3a,\u70ba,\u306f,\u0647\u0648,"
	"\u0647\u064a,\u0939\u0948",
	NULL,
};
