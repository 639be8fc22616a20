//! The same concepts in other languages: gateways answer in the language of
//! their authors, and an operating system in that of its owner.
//!
//! Portuguese, Spanish, Italian, Indonesian, German, French, Russian, Turkish
//! and Chinese, as far as
//! issue threads show them. A sentence in another language is a likely kind
//! and no certainty, so nothing here says that a message was not handed over.

use super::super::verdict::Handed;
use super::super::{Kind, Operation as Op, Rung};
use super::rule::{Rule, rule};

const SENDING: &[Op] = &[Op::Send, Op::SendMedia];
const ASKING: &[Op] = &[Op::Send, Op::SendMedia, Op::Evaluate, Op::Lookup];

pub(super) const RULES: &[Rule] = &[
    rule(
        "no room",
        Kind::ResourcesExhausted,
        &[
            "não há espaço|nao ha espaco|espaço insuficiente|no queda espacio|espacio insuficiente|kein speicherplatz|nicht genügend speicher|espace insuffisant|ruang tidak cukup|磁盘空间不足|spazio insufficiente|нет места|недостаточно места|yetersiz alan",
            "memória insuficiente|memoria insuficiente|mémoire insuffisante|nicht genügend arbeitsspeicher|内存不足|memoria esaurita|недостаточно памяти|нехватка памяти|yetersiz bellek",
        ],
    ),
    rule(
        "the file to start is not there",
        Kind::LaunchFailedMissingBrowser,
        &[
            "não é possível encontrar|não pode encontrar|no puede encontrar|no se puede encontrar|nicht finden|introuvable|tidak ditemukan|não encontrado|no encontrado|找不到",
        ],
    )
    .only(&[Op::Launch]),
    rule(
        "somebody else holds the profile",
        Kind::ProfileLocked,
        &[
            "sendo usado por outro|está em uso|está siendo utilizado por otro|está en uso|von einem anderen prozess|utilisé par un autre|sedang digunakan|正由另一进程使用",
        ],
    )
    .only(&[Op::Launch, Op::Shutdown]),
    rule(
        "WhatsApp acts against the account",
        Kind::BannedOrRestricted,
        &[
            "conta|cuenta|número|numero|konto|compte|akun|nomor|账号|account|аккаунт|учётн|учетн|номер|hesab|hesap + banid|baneada|baneado|bloquead|suspendid|gesperrt|bannie|banni|suspendu|diblokir|封禁|被封|bannato|sospeso|bloccato|заблокирован|забанен|yasaklan|askıya alın|engellen",
            "conta|cuenta|número|numero|konto|compte|akun|nomor|账号|account|аккаунт|учётн|учетн|номер|hesab|hesap + restringid|restrita|restrito|restricción|restrições|eingeschränkt|restreint|dibatasi|受限|限制|limitato|ограничен|kısıtlan",
        ],
    ),
    rule(
        "nobody scanned",
        Kind::AuthRequired,
        &[
            "=qr|qrcode + expirad|expirou|esgotad|agotad|tentativas|intentos|abgelaufen|expiré|kadaluarsa|过期",
        ],
    )
    .rung(Rung::Operator),
    rule(
        "the link is gone",
        Kind::AuthRequired,
        &[
            "escaneie|escanear o qr|escanea|escanear el|leia o qr|scannen sie|scannez|pindai|scan ulang|扫码|扫描二维码|scansiona|отсканируйте|сканируйте|karekod",
            "não autenticad|nao autenticad|no autenticad|não logad|nao logad|não está logad|nicht angemeldet|nicht eingeloggt|non authentifié|belum login|未登录|请登录|non autenticato|не авторизован|требуется авторизация|oturum açılmamış",
            "sessão expir|sessao expir|sesión expir|sesion expir|sitzung abgelaufen|session expirée|sesi habis|sesi berakhir|sessione scaduta|сессия истекла|сессия завершена|oturum süresi",
            "sesión cerrada|cerró sesión|cerraste sesión|sessão encerrada|sessão finalizada|desvinculad|abgemeldet|sesi ditutup|已退出登录|вышли из аккаунта|oturum kapatıldı",
            "faça login novamente|inicie sesión|neu anmelden|reconnectez-vous|login kembali",
        ],
    ),
    rule(
        "too often",
        Kind::RateLimited,
        &[
            "muitas tentativas|muitas requisi|muitas solicita|limite de requisi|demasiados intentos|demasiadas solicitudes|demasiadas peticiones|zu viele anfragen|zu viele versuche|trop de requêtes|trop de tentatives|terlalu banyak|请求过多|频繁|troppe richieste|troppi tentativi|слишком много|слишком часто|çok fazla",
        ],
    ),
    rule(
        "the recipient is at fault",
        Kind::RecipientInvalid,
        &[
            "número|numero|nomor|nummer|numéro|contato|contacto|kontak|destinat|号码|номер|контакт|получател|numara|kişi + inválid|invalido|invalida|não existe|nao existe|no existe|não encontrad|no encontrad|não registrad|no registrad|no está registrad|não está registrad|não possui|no tiene|tidak terdaftar|tidak valid|tidak ditemukan|tidak ada|ungültig|existiert nicht|nicht gefunden|introuvable|invalide|不存在|无效|non valido|non registrato|non esiste|не зарегистрирован|не существует|не найден|неверн|kayıtlı değil|bulunamadı|geçersiz",
            "não tem whatsapp|não possui whatsapp|no tiene whatsapp|tidak memiliki whatsapp|hat kein whatsapp|n'a pas whatsapp",
        ],
    )
    .only(SENDING)
    .handed(Handed::ThisCall),
    rule(
        "the media is at fault",
        Kind::MediaInvalid,
        &[
            "archivo|arquivo + no tiene|não tem|undefined",
            "arquivo|archivo|imagem|imagen|vídeo|áudio|mídia|datei|bild|fichier|berkas|gambar|文件|图片|immagine|файл|изображени|видео|dosya + inválid|invalid|muito grande|demasiado grande|muy grande|não encontrad|no encontrad|não suportad|no soportad|zu groß|ungültig|nicht gefunden|nicht unterstützt|trop volumineux|introuvable|terlalu besar|tidak didukung|tidak ditemukan|不支持|过大|troppo grande|non supportat|слишком большой|не поддерживается|не найден|çok büyük|desteklenmiyor",
        ],
    )
    .only(&[Op::SendMedia])
    .handed(Handed::ThisCall),
    rule(
        "the request is at fault",
        Kind::PermanentRequestError,
        &[
            "não + informad|fornecid|especificad|no fue proporcionad|no se proporcionó|no especificad|non specificato|nicht angegeben|non spécifié|tidak disertakan|не указан|belirtilmedi|未提供",
            "obrigatóri|obrigatori|obligatori|requerid|wajib|harus diisi|erforderlich|obligatoire|requis|zorunlu|обязательн|必填|缺少",
            "sem permissão|não tem permissão|sin permiso|no tiene permiso|no tienes permiso|keine berechtigung|nicht berechtigt|pas la permission|pas autorisé|tidak memiliki izin|tidak diizinkan|non hai il permesso|нет прав|недостаточно прав|обладать правами|yetkiniz yok|权限不足|没有权限",
            "apenas|somente|solo|sólo|nur|seuls les|hanya|только|sadece|仅 + administrador|admin|администратор|管理员",
            "parâmetro|parametro|parámetro|paramètre|campo|corpo|mensagem|mensaje|pesan + inválid|invalido|faltando|ausente|vazi|vacío|vacio|kosong|manquant",
        ],
    )
    .only(ASKING)
    .handed(Handed::ThisCall),
    rule(
        "the navigation did not end in time",
        Kind::NavigationTimeout,
        TIMED_OUT,
    )
    .only(&[Op::Navigate]),
    rule("no answer in time", Kind::PageHung, TIMED_OUT),
    rule(
        "the network is away",
        Kind::NetworkDown,
        &[
            "conexión|conexion|conexão|conexao|koneksi|verbindung|connexion|connessione|соединени|подключени|bağlantı|连接 + cerrada|perdida|cortada|encerrada|fechada|terputus|hilang|verloren|getrennt|geschlossen|abgebrochen|perdue|fermée|coupée|persa|chiusa|закрыт|потерян|разорван|прерван|kesildi|koptu|关闭|断开|丢失|中断",
            "reconectando|reconnexion|menyambung ulang|menghubungkan ulang|verbinde neu|riconnessione|переподключ|yeniden bağlan|重连|重新连接",
            "desconectad|não conectad|nao conectad|não está conectad|no conectad|no está conectad|sem conexão|sem conexao|sin conexión|sin conexion|conexão recusada|conexión rechazada|falha na conexão|error de conexión|erro de conexão",
            "nicht verbunden|keine verbindung|verbindung getrennt|verbindung verweigert|non connecté|déconnecté|connexion refusée|pas de connexion|tidak terhubung|belum terhubung|koneksi terputus|未连接|断开|网络错误",
            "non connesso|disconnesso|connessione rifiutata|не подключен|нет подключения|нет соединения|соединение разорвано|соединение закрыто|соединение прервано|bağlı değil|bağlantı kesildi|bağlantı yok",
        ],
    ),
];

const TIMED_OUT: &[&str] = &[
    "tempo esgotado|tempo limite|tiempo de espera|tiempo agotado|zeitüberschreitung|délai dépassé|délai d'attente|waktu habis|batas waktu|超时|tempo scaduto|время ожидания|превышено время|zaman aşımı",
];
